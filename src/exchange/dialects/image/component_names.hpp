// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace ferrule::exchange {

/// What a model of that class is called in a pipeline: "unet", "transformer", "text_encoder"; "" if
/// it is none of them.
std::string_view component_of_class(std::string_view class_name);

/// True if a pipeline has a model of that name with adapters of its own.
bool is_component(std::string_view name);

/// The component of a path by names that only one kind of model has; "" if there is none.
std::string_view component_of_path(std::string_view path);

/// The same, or "transformer" for a path in a block of one of the models of model_tables.hpp.
std::string_view component_of_module(std::string_view path);

/// A path in the names of today. Old diffusers put processors between attention and its
/// projections, and names of its own ("to_q") into text encoders.
std::string modern_path(std::string_view path, std::string_view component);

}  // namespace ferrule::exchange
