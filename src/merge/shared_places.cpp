// SPDX-License-Identifier: Apache-2.0
#include "merge/shared_places.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "merge/module_order.hpp"
#include "merge/numpy_random.hpp"

namespace ferrule::merging {

bool leaves_layers_out(const Adapter& adapter) {
  if (adapter.config().peft_type() != "UNILORA") return false;
  return std::none_of(
      adapter.modules().begin(), adapter.modules().end(),
      [](const AdapterModule& module) { return module.find("unilora_indices_A") != nullptr; });
}

Result<std::vector<std::string>> targeted_layers(const Adapter& adapter,
                                                 const model::BaseIndex& base,
                                                 const peft::TargetRule& targets) {
  std::vector<std::string> out;
  if (targets.known()) {
    for (const auto& path : base.modules) {
      const auto letter = base.kind_of(path).letter;
      if (letter != 'L' && letter != 'C') continue;
      FERRULE_TRY(const bool selected, targets.selects(path));
      if (selected) out.push_back(path);
    }
  }
  if (out.empty()) {
    return base::at(base::unsupported("MG-3",
                                      "the file has nothing but the vector that its layers share, "
                                      "and the config does not tell which layers these are: save "
                                      "it with save_indices"),
                    adapter.weights_file());
  }
  sort_as_model(out, base);
  return out;
}

std::shared_ptr<const SharedPlaces> draw_places(std::uint32_t count, std::uint32_t length,
                                                std::uint64_t seed) {
  auto out = std::make_shared<SharedPlaces>();
  NumpyRandom random(seed);
  const auto each = count / length;
  out->places.reserve(count);
  for (std::uint32_t value = 0; value < length && each > 0; ++value) {
    out->places.insert(out->places.end(), each, value);
  }
  std::vector<std::uint32_t> uses(length, each);
  if (count % length != 0) {
    for (const auto extra : random.choice(length, count % length)) {
      out->places.push_back(extra);
      ++uses[extra];
    }
  }
  random.shuffle(out->places);
  out->scales.reserve(length);
  for (const auto used : uses) {
    out->scales.push_back(used == 0 ? 0.F : 1 / std::sqrt(static_cast<float>(used)));
  }
  return out;
}

}  // namespace ferrule::merging
