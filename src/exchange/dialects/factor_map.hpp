// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "exchange/values.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::exchange {

/// The tensors of one module as a file has them.
struct Factors {
  Values a;
  Values b;
  Values magnitude;
  /// A key of it, for messages.
  std::string key;
};

/// How a dialect spells the tensors of a module: what follows the module's path.
struct FactorSuffix {
  std::string_view text;
  Values Factors::*part;
};

/// Module's path -> its tensors. `program` is named in messages. Fails with kUnsupported (EX-5) on
/// a tensor that no suffix explains, kCorrupt (EX-8) on one that is not a matrix (a vector for the
/// magnitude) or a module without both factors. Tensors that `others` takes are left to the caller.
Result<std::map<std::string, Factors>> read_factors(
    const TensorSource& source, std::span<const FactorSuffix> suffixes, std::string_view program,
    bool (*others)(std::string_view name) = nullptr);

}  // namespace ferrule::exchange
