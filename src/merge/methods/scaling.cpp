// SPDX-License-Identifier: Apache-2.0
// Methods that scale, replace or shift what is there: IA3, LN tuning, BEFT.
#include <cstddef>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/row_wise_step.hpp"
#include "merge/simple_steps.hpp"
#include "regex/pattern.hpp"

namespace ferrule::merging {
namespace {

using checks::LayerKind;

/// W * l, along the inputs of a feedforward layer and along the outputs of others.
template <typename T, bool feedforward>
Result<ChangeRows<T>> ia3(const Site& site) {
  auto l = numbers_of<T>(site.module->find("ia3_l")->tensor);
  // A convolution's columns are channels of its group, each with its kernel.
  const bool conv = site.kind == LayerKind::kConv;
  const auto channels = site.shape.size() > 1 ? static_cast<std::size_t>(site.shape[1]) : 1;
  const auto kernel = conv && channels != 0 ? site.in() / channels : 1;
  const auto groups = conv && channels != 0 ? l.size() / channels : 1;
  const auto rows_of_group = groups == 0 ? site.out() : site.out() / groups;
  return ChangeRows<T>([l = std::move(l), conv, channels, kernel, rows_of_group, undo = site.undo](
                           std::size_t first, Matrix<T>& rows, const Matrix<T>& /*original*/) {
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t j = 0; j < rows.columns; ++j) {
        std::size_t at = first + i;
        if (feedforward) at = conv ? at / rows_of_group * channels + j / kernel : j;
        T& value = rows.at(i, j);
        value = undo ? value / (l[at] + static_cast<T>(1e-8)) : value * l[at];
      }
    }
  });
}

/// By the config, as PEFT decides it at load.
Result<bool> is_feedforward(const Site& site) {
  const auto* field = site.config().find("feedforward_modules");
  if (field == nullptr || field->is_null()) return false;
  if (const auto* pattern = field->if_string()) {
    FERRULE_TRY(const auto compiled, regex::Pattern::compile(*pattern));
    return compiled.fullmatch(site.live);
  }
  if (field->if_array() == nullptr) return false;
  for (const auto& name : *field->if_array()) {
    if (name.if_string() != nullptr && site.live.ends_with(*name.if_string())) return true;
  }
  return false;
}

/// Every tensor of the module that has that role and leaf.
const AdapterTensor* leaf_of(const Site& site, std::string_view leaf) {
  for (const auto& tensor : site.module->tensors()) {
    if (tensor.leaf == leaf) return &tensor;
  }
  return nullptr;
}

StepMaker replace_all(const AdapterTensor& tensor) {
  const auto view = tensor.tensor;
  return [view](const Place& place) -> Result<std::unique_ptr<Step>> {
    const auto shape = place.part.disk->shape();
    std::size_t columns = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) {
      columns *= static_cast<std::size_t>(shape[axis]);
    }
    return std::unique_ptr<Step>(std::make_unique<ReplaceStep>(view, 0, columns, 1));
  };
}

}  // namespace

Result<SiteSteps> plan_ia3(const Site& site) {
  FERRULE_TRY(const auto* l, site.need("ia3_l"));
  const auto count = l->tensor.element_count();
  FERRULE_TRY(bool feedforward, is_feedforward(site));
  const auto shape = l->tensor.shape();
  if (site.kind != LayerKind::kConv && shape.size() == 2 && shape[0] != shape[1]) {
    feedforward = shape[0] == 1;
  }
  const bool fits = site.kind == LayerKind::kConv
                        ? (feedforward ? site.shape.size() > 1 && count % site.shape[1] == 0
                                       : count == site.out())
                        : count == (feedforward ? site.in() : site.out());
  if (!fits) return site.refuse("BS-2", "ia3_l does not fit the layer");
  SiteSteps steps;
  steps.weight.push_back(row_wise_maker(
      site, feedforward ? RowWise{.narrow = ia3<float, true>, .wide = ia3<double, true>}
                        : RowWise{.narrow = ia3<float, false>, .wide = ia3<double, false>}));
  if (!feedforward && site.has_bias) {
    steps.bias.push_back(bias_scaler(l->tensor, site.weight, site.undo));
  }
  return steps;
}

Result<SiteSteps> plan_ln_tuning(const Site& site) {
  if (site.undo) {
    return site.refuse("MG-9",
                       "it replaces the layer, and what was there before is not known any "
                       "more: it cannot be undone");
  }
  SiteSteps steps;
  const auto* weight = leaf_of(site, "weight");
  const auto* bias = leaf_of(site, "bias");
  if (weight != nullptr) {
    if (weight->tensor.element_count() != site.out()) {
      return site.refuse("BS-2", "its weight does not fit the layer");
    }
    steps.weight.push_back(replace_all(*weight));
  }
  if (bias != nullptr) {
    if (!site.has_bias || bias->tensor.element_count() != site.out()) {
      return site.refuse("BS-2", "its bias does not fit the layer");
    }
    steps.bias.push_back(replace_all(*bias));
  }
  return steps;
}

Result<SiteSteps> plan_beft(const Site& site) {
  FERRULE_TRY(const auto* bias, site.need("beft_bias"));
  if (!site.has_bias) {
    return site.refuse("MG-3", "it changes a bias, and the base's layer has none to merge it into");
  }
  if (bias->tensor.element_count() != site.out()) {
    return site.refuse("BS-2", "beft_bias does not fit the layer");
  }
  SiteSteps steps;
  steps.bias.push_back(bias_adder(bias->tensor, site.weight * (site.undo ? -1 : 1)));
  return steps;
}

}  // namespace ferrule::merging
