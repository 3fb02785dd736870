// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule::exchange {

/// The tensors of one module of a file, by their part in one spelling for all programs (FileKey).
struct RawModule {
  /// As the file spells it.
  std::string name;
  /// The first of its tensors, for messages.
  std::string key;
  std::map<std::string, TensorView, std::less<>> leaves;
  /// Tensors of a method that is not read, by the part behind the module.
  std::map<std::string, TensorView, std::less<>> unread;

  const TensorView* find(std::string_view leaf) const {
    const auto found = leaves.find(leaf);
    return found == leaves.end() ? nullptr : &found->second;
  }
};

/// The file's tensors by module, sorted. Fails with kUnsupported (EX-5: a name that belongs to no
/// module, too many dimensions) or kCorrupt (EX-8: a part twice in two spellings).
Result<std::vector<RawModule>> raw_modules(const TensorSource& source);

}  // namespace ferrule::exchange
