// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/json.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::peft {

/// What another program's adapters are called in a message: "an adapter of mlx-lm".
struct Dialect {
  /// The word for it in commands ("mlx"); several programs may write one.
  std::string_view name;
  /// In a message.
  std::string_view what;
  /// How it differs from PEFT's, and what can be done with it.
  std::string_view advice;
};

/// Whose config this is, by fields that only that program writes; null for PEFT's and unknown ones.
const Dialect* dialect_of_config(const Json& document);

/// Whose adapter has a tensor of this name; null for PEFT's and unknown ones.
const Dialect* dialect_of_key(std::string_view key);

/// A dialect and a tensor that shows it.
struct DialectFound {
  const Dialect* dialect = nullptr;
  std::string_view key = {};
};

/// The dialect of the first tensor that has one. The key points into the source.
DialectFound dialect_of(const TensorSource& source);

/// "an adapter of torchtune, not of PEFT (tensor "...")".
std::string describe(const DialectFound& found);

/// True if a tensor of any of PEFT's methods has such a name, with an adapter's name in it or not.
bool is_peft_key(std::string_view key);

}  // namespace ferrule::peft
