// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "peft/config_schema.hpp"

namespace ferrule::peft {

/// Does to a document what PEFT's constructors do: nested configs get their missing fields, values
/// that follow from others are filled in.
void complete_config(std::string_view peft_type, Json& document);

/// The combinations of fields with which PEFT refuses to construct the config or to build its
/// layers. Every field has its type already. Fails with kCorrupt: CF-10 (combinations and ranges),
/// CF-11 (names out of a fixed set), CF-12 (ranks).
Result<void> check_config(std::string_view peft_type, const Json& document);

/// The field that plays the rank's part in the type, or nullptr.
const FieldSchema* rank_field(const TypeSchema& type) noexcept;

}  // namespace ferrule::peft
