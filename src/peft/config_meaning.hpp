// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "ferrule/json.hpp"

namespace ferrule::peft {

/// True for fields that say where an adapter comes from and how it was last opened, not what it is:
/// auto_mapping, base_model_name_or_path, inference_mode, peft_version, revision.
bool is_provenance(std::string_view field) noexcept;

/// A field's value in the one form that all spellings of the same meaning share: whole floats as
/// integers, lists that mean sets sorted and without doubles, an empty object as null, null of a
/// bool as false.
Json canonical_value(const AdapterConfig& config, std::string_view field, const Json& value);

/// What the config means: an object of its canonical values, without provenance and without what
/// equals PEFT's default. A pattern table is a list of [pattern, value] where its order decides
/// for one of the modules, which are given by path, and an object else. Exact definition:
/// docs/content-id.md.
Json config_meaning(const AdapterConfig& config, std::span<const std::string> module_paths);

}  // namespace ferrule::peft
