// SPDX-License-Identifier: Apache-2.0
#include "model/quantized_weights.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "model/quantized_readers.hpp"

namespace ferrule::model {
namespace {

/// What is next to a quantized weight for activations, or says again what its shape says.
constexpr std::array<std::string_view, 11> kBeside = {
    ".input_scale",       ".input_zero_point", ".input_global_scale", ".output_scale",
    ".output_zero_point", ".activation_scale", ".act_scale",          ".input_scale_ub",
    ".weight_format",     ".weight_shape",     ".input_amax"};

/// Scales of a quantized cache of keys and values.
constexpr std::array<std::string_view, 3> kCache = {".k_scale", ".v_scale", ".q_scale"};

template <std::size_t N>
bool ends_with_any(std::string_view name, const std::array<std::string_view, N>& ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

std::string_view parent_of(std::string_view name) { return name.substr(0, name.rfind('.')); }

}  // namespace

Result<QuantizedModel> find_quantized_weights(const TensorSource& source, const Json& config) {
  QuantizedModel out;
  QuantizedReader reader(source, config);
  std::set<std::string, std::less<>> consumed;
  std::set<std::string, std::less<>> modules;
  for (const auto& [name, tensor] : source.tensors()) {
    FERRULE_TRY(auto weight, reader.read(name, tensor));
    if (!weight) continue;
    modules.insert(std::string(parent_of(weight->name)));
    for (auto& used : reader.take_used()) consumed.insert(std::move(used));
    out.weights.push_back(std::move(*weight));
  }
  if (out.weights.empty()) return out;
  for (const auto& [name, tensor] : source.tensors()) {
    const bool beside = ends_with_any(name, kBeside) && modules.contains(parent_of(name));
    if (beside || (ends_with_any(name, kCache) && tensor.element_count() == 1)) {
      consumed.insert(std::string(name));
    }
    if (name.ends_with(".pre_quant_scale") && modules.contains(parent_of(name))) {
      return base::unsupported("MG-6", "the base scales inputs before a quantized weight (" +
                                           quote(name) + "), which no plain weight does");
    }
  }
  std::set<std::string_view> plain;
  for (const auto& weight : out.weights) {
    const bool other = source.find(weight.name) && !consumed.contains(weight.name);
    if (other || !plain.insert(weight.name).second) {
      return base::corrupt("MG-11", "the base has the weight " + quote(weight.name) + " twice");
    }
  }
  out.consumed.assign(consumed.begin(), consumed.end());
  return out;
}

DequantizedNames::DequantizedNames(const TensorSource& source, const QuantizedModel& model)
    : source_(source) {
  std::map<std::string_view, const QuantizedWeight*> by_main;
  for (const auto& weight : model.weights) by_main.emplace(weight.main, &weight);
  plain_.reserve(model.weights.size());
  for (const auto& [name, tensor] : source.tensors()) {
    const auto found = by_main.find(name);
    if (found != by_main.end()) {
      plain_.push_back({found->second->name, found->second->shape});
      const auto& plain = plain_.back();
      tensors_.push_back({plain.name, TensorViewAccess::unchecked(Dtype::kF32, plain.shape, {})});
    } else if (!std::binary_search(model.consumed.begin(), model.consumed.end(), name)) {
      tensors_.push_back({name, tensor});
    }
  }
}

std::optional<TensorView> DequantizedNames::find(std::string_view name) const& noexcept {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const NamedTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? std::nullopt : std::optional(found->tensor);
}

}  // namespace ferrule::model
