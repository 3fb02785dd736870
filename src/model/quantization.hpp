// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule::model {

/// The `quantization_config` of a model's config, or of its language model; null if there is none.
const Json* quantization_of(const Json& config);

/// A text field of `quantization`; empty if it is not there.
std::string quantization_text(const Json* quantization, std::string_view field);

/// The format that `quantization` names: "fp8", "bitsandbytes, 8 bits"; empty for null.
std::string quantization_format(const Json* quantization);

}  // namespace ferrule::model
