// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "ferrule/adapter_config.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::cli {

/// Where the files are that a word of the command line means: a path, an address ("hf://...",
/// "s3://...", "https://..."), or a repository of the Hub ("namespace/name"). A command without the
/// hub takes paths only.
class Place {
 public:
  /// An adapter. With `headers_only` the data of large weights are not fetched.
  static Result<Place> of_adapter(const std::string& text, bool headers_only = false);
  /// Files to be looked at before any program can find them in the cache.
  static Result<Place> apart(const std::string& text);
  /// A base model, of which headers are enough.
  static Result<Place> of_base(const std::string& text, bool offline = false);
  /// The base model that the config names.
  static Result<Place> of_base(const AdapterConfig& config, bool offline = false);

  const std::filesystem::path& path() const { return path_; }
  /// Whether the files come from elsewhere.
  bool is_remote() const { return is_remote_; }

 private:
  Place(std::filesystem::path path, bool is_remote, std::shared_ptr<void> hold);

  std::filesystem::path path_;
  bool is_remote_ = false;
  std::shared_ptr<void> hold_;  // Keeps a temporary folder.
};

/// The exit code and the "error" of a document if a place could not be had.
int place_exit_code(const Error& error);
Json place_error(const Error& error);

/// Reports why a place could not be had, as fail() does, or as hub_failure() if a server or the
/// network is why.
int fail_place(const Error& error, bool json, Json::Object fields = {});

}  // namespace ferrule::cli
