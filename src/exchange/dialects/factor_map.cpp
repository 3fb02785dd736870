// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/factor_map.hpp"

#include <algorithm>

#include "base/errors.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {

Result<std::map<std::string, Factors>> read_factors(const TensorSource& source,
                                                    std::span<const FactorSuffix> suffixes,
                                                    std::string_view program,
                                                    bool (*others)(std::string_view name)) {
  std::map<std::string, Factors> modules;
  for (const auto& [name, tensor] : source.tensors()) {
    if (others != nullptr && others(name)) continue;
    const auto found =
        std::find_if(suffixes.begin(), suffixes.end(), [&key = name](const auto& suffix) {
          return key.size() > suffix.text.size() && std::string_view(key).ends_with(suffix.text);
        });
    if (found == suffixes.end()) {
      return base::unsupported("EX-5", "tensor " + quote(name) + " is none that " +
                                           std::string(program) + " writes for an adapter");
    }
    if (tensor.shape().empty() || tensor.shape().size() > 2 || tensor.element_count() == 0) {
      return base::corrupt("EX-8", "tensor " + quote(name) + " is not a matrix, or is empty");
    }
    auto& factors = modules[std::string(name.substr(0, name.size() - found->text.size()))];
    factors.*(found->part) = Values::of(tensor);
    if (factors.key.empty() || found->part == &Factors::a) factors.key = name;
  }
  for (const auto& [path, factors] : modules) {
    if (factors.a.shape().size() != 2 || factors.b.shape().size() != 2) {
      return base::corrupt("EX-8", "module " + quote(path) + " does not have two factors (it has " +
                                       quote(factors.key) + ")");
    }
  }
  return modules;
}

}  // namespace ferrule::exchange
