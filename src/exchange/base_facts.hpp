// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// One model of a base: its config.json, and the names and shapes of its weights if there are any.
struct BaseComponent {
  Json config = {};
  /// Paths of modules that have a weight, with its shape; empty if only a config is there.
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> modules = {};

  /// A number of the config, also below text_config.
  std::optional<std::int64_t> integer(std::string_view field) const;
  std::optional<bool> flag(std::string_view field) const;
  /// The first entry of `architectures`, or "_class_name" of diffusers; "" if there is none.
  std::string class_name() const;
};

/// What --base says. A model of transformers is the component ""; a pipeline of diffusers has
/// "unet", "transformer", "text_encoder" ....
struct BaseFacts {
  std::filesystem::path path = {};
  std::map<std::string, BaseComponent, std::less<>> components = {};

  bool known() const noexcept { return !components.empty(); }
  /// Null if the base has no such component.
  const BaseComponent* component(std::string_view name) const;
  /// The model itself (component ""), or null.
  const BaseComponent* model() const { return component(""); }
};

/// A folder with config.json (weights optional), a config.json, or the folder of a pipeline
/// (model_index.json). Fails with kNotFound, kIo, kCorrupt.
Result<BaseFacts> open_base(const std::filesystem::path& path, const OpenOptions& options);

}  // namespace ferrule::exchange
