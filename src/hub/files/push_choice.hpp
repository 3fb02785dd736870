// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/hub.hpp"

namespace ferrule::hub {

/// What a push knows of the folder that a file is in.
struct PushFolder {
  /// Relative to the pushed directory: empty, or with a slash at its end.
  std::string prefix;
  /// It has an adapter's config or weights, or is the pushed directory itself.
  bool has_adapter = false;
  /// One of sentence-transformers' modules ("1_Dense"), which have weights of their own.
  bool is_module = false;
};

/// Facts of the folder of that name and files.
PushFolder describe_push_folder(std::string prefix, const std::vector<std::string>& files);

/// Which files a push sends (docs/hub.md).
class PushChoice {
 public:
  explicit PushChoice(const PushOptions& options) : options_(options) {}

  /// Why a file stays behind; empty if it is sent.
  std::string_view why_not(const PushFolder& folder, const std::string& name,
                           std::uint64_t size) const;
  /// Why a folder is not looked into; empty if it is. `path` has no slash at its end.
  std::string_view why_not_folder(const std::string& path) const;

 private:
  bool is_included(const std::string& path) const;
  bool is_named(const std::string& path) const;

  const PushOptions& options_;
};

/// Whether a pattern (`*` and `?`; `*` also stands for slashes) matches the path, the name of a
/// file or folder in it, or, with a slash at its end, a folder that it is in.
bool matches_path(std::string_view glob, std::string_view path);

}  // namespace ferrule::hub
