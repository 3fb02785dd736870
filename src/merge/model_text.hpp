// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule::merging {

struct ConfigChange {
  std::optional<Dtype> dtype = {};
  bool unties = false;
  bool unquantizes = false;

  bool any() const noexcept { return dtype || unties || unquantizes; }
};

/// True for models that tie their embeddings whatever their config says, and read the field as
/// another one (T5's scale of the decoder's output). A head of its own is told by the file.
bool ties_whatever_the_config(std::string_view model_type) noexcept;

/// config.json with these fields changed: all others stay, in their order. Fails with kCorrupt.
Result<std::string> changed_config(std::string_view text, const ConfigChange& change);

/// An index whose map is that one.
Result<std::string> new_index(std::string_view text,
                              const std::map<std::string, std::string>& tensors,
                              std::uint64_t total_bytes);

/// An index whose map has these tensors added, and whose total size is that one.
Result<std::string> changed_index(std::string_view text,
                                  const std::map<std::string, std::string>& added,
                                  std::uint64_t total_bytes);

}  // namespace ferrule::merging
