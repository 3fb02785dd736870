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

/// config.json with these fields changed: all others stay, in their order. Fails with kCorrupt.
Result<std::string> changed_config(std::string_view text, const ConfigChange& change);

/// An index whose map has these tensors added, and whose total size is that one.
Result<std::string> changed_index(std::string_view text,
                                  const std::map<std::string, std::string>& added,
                                  std::uint64_t total_bytes);

}  // namespace ferrule::merging
