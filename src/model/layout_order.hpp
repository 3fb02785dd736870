// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "model/transformers_names.hpp"

namespace ferrule::model {

/// The order in which a model's class makes its modules, which is that of named_modules().
class LayoutOrder {
 public:
  LayoutOrder(const ModelClass* row, const Json& config);

  /// A place that sorts as the modules do; nullopt if the class does not tell.
  std::optional<std::vector<std::size_t>> place_of(std::string_view path) const;

 private:
  std::int64_t root_ = -1;
  /// Layouts of models within the model that the config makes another class of; -1: not known.
  std::map<std::string, std::int64_t, std::less<>> replaced_;
};

}  // namespace ferrule::model
