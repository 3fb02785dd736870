// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/method_modules.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "check/check_causes.hpp"
#include "check/live_config.hpp"
#include "ferrule/text.hpp"
#include "merge/expert_parts.hpp"
#include "merge/method.hpp"
#include "merge/module_order.hpp"
#include "merge/operations.hpp"
#include "merge/parameter_sites.hpp"
#include "merge/plan.hpp"
#include "merge/refusals.hpp"
#include "merge/shared_places.hpp"
#include "merge/simple_steps.hpp"
#include "merge/tied_factors.hpp"
#include "merge/token_rows.hpp"

namespace ferrule::merging {
namespace {

using checks::LayerKind;
using checks::ModuleMatch;
using checks::Standing;

std::size_t product_from(std::span<const std::uint64_t> shape, std::size_t first) {
  std::size_t count = 1;
  for (auto axis = first; axis < shape.size(); ++axis) {
    count *= static_cast<std::size_t>(shape[axis]);
  }
  return count;
}

/// Puts the tensor in place of a live parameter of the same shape.
StepMaker replacer(const TensorView& tensor) {
  return [tensor](const Place& place) -> Result<std::unique_ptr<Step>> {
    const auto& part = place.part;
    const auto& shape = place.live.shape;
    const bool stack = shape.size() == 3 && !part.is_whole && part.disk->shape().size() == 2;
    const auto columns = stack ? static_cast<std::size_t>(shape[2]) : product_from(shape, 1);
    const auto start = stack ? part.expert * product_from(shape, 1) : 0;
    if (part.transposed) {
      return std::unique_ptr<Step>(
          std::make_unique<ReplaceStep>(tensor, start + part.row, 1, columns));
    }
    auto step = std::make_unique<ReplaceStep>(tensor, start + part.row * columns, columns, 1);
    if (part.disk_row == 0 &&
        (part.is_whole || part.rows == 0 || part.rows == part.disk->shape()[0])) {
      return std::unique_ptr<Step>(std::move(step));
    }
    return std::unique_ptr<Step>(
        std::make_unique<PartStep>(std::move(step), part.disk_row, part.rows));
  };
}

class Planner {
 public:
  Planner(const BaseModel& base, const LiveTensors& live, const PlanOptions& options)
      : base_(BaseModelAccess::index(base)),
        live_(live),
        options_(options),
        operations_(base_, live) {}

  Result<void> add(const Source& source) {
    const auto& config = source.adapter->config();
    FERRULE_CHECK(refuse_method(*source.adapter));
    FERRULE_CHECK(refuse_broken(*source.adapter));
    FERRULE_TRY(const auto live_config, checks::live_config(config, base_));
    if (live_config.refused) return as_error(*source.adapter, *live_config.refused);
    FERRULE_TRY(const auto targets, peft::TargetRule::compile(live_config.config));
    FERRULE_TRY(const auto match,
                checks::match_modules(*source.adapter, live_config, base_, targets));
    FERRULE_CHECK(refuse_unmatched(*source.adapter, base_, match));
    for (const auto& module : match.modules) FERRULE_CHECK(replace_base(source, module));
    for (const auto& module : match.modules) FERRULE_CHECK(replace_modules(source, module));
    FERRULE_CHECK(find_layers(source, match));
    const ParameterSites parameters(base_, live_, targets, match);
    for (const auto& module : match.modules) {
      FERRULE_CHECK(change(source, module, parameters));
    }
    FERRULE_CHECK(change_unsaved(source, targets));
    for (const auto& module : match.modules) FERRULE_CHECK(put_tokens(source, module));
    FERRULE_TRY(const bool tied, ties_embedding(config));
    if (tied && tied_factors_agree(match)) {
      for (const auto& module : match.modules) operations_.keep_tied(module.live + ".weight");
    }
    return {};
  }

  Result<MergePlan> finish() {
    FERRULE_CHECK(operations_.settle(plan_));
    std::erase_if(plan_.changed, [](const auto& entry) { return entry.second.steps.empty(); });
    return std::move(plan_);
  }

 private:
  static Error at_module(const Source& source, const AdapterModule& module, std::string_view rule,
                         std::string message) {
    return Site{.adapter = source.adapter, .module = &module}.refuse(rule, std::move(message));
  }

  /// The live parameter, followed through ties, or nullptr.
  const model::BaseTensor* parameter(const std::string& name) const { return base_.find(name); }

  Result<void> check_replacement(const Source& source, const AdapterModule& module,
                                 const AdapterTensor& tensor, const std::string& name) const {
    const auto* own = parameter(name);
    if (own == nullptr) {
      return at_module(source, module, "MG-2",
                       "the base has no tensor " + quote(name) + ", which the adapter replaces");
    }
    const auto shape = tensor.tensor.shape();
    if (!std::equal(shape.begin(), shape.end(), own->shape.begin(), own->shape.end())) {
      return at_module(source, module, "BS-2",
                       "its copy of " + quote(name) + " has shape " + base::shape_text(shape) +
                           ", the base's has " + base::shape_text(own->shape));
    }
    if (!has_numbers(tensor.tensor.dtype())) {
      return at_module(source, module, "MG-3",
                       "its copy of " + quote(name) + " is of dtype " +
                           std::string(dtype_name(tensor.tensor.dtype())));
    }
    if (options_.undo) {
      return at_module(
          source, module, "MG-9",
          "it replaces " + quote(name) +
              ", and what was there before is not known any more: it cannot be undone");
    }
    return {};
  }

  /// What PEFT loads over the base's own weights: biases, copies of embeddings.
  Result<void> replace_base(const Source& source, const ModuleMatch& match) {
    for (const auto& tensor : match.module->tensors()) {
      if (tensor.role != "embedding" && tensor.role != "bias") continue;
      const auto name =
          match.live + "." + std::string(tensor.key.substr(tensor.key.rfind('.') + 1));
      if (options_.undo && tensor.role == "embedding") {
        // The copy that the adapter was trained on is what was there: no rounding is left, and
        // whatever was merged before it had been written over.
        operations_.restore(name, replacer(tensor.tensor), tensor.tensor);
        continue;
      }
      FERRULE_CHECK(check_replacement(source, *match.module, tensor, name));
      operations_.add_to_all(name, replacer(tensor.tensor), tensor.tensor);
      ++plan_.modules;
    }
    return {};
  }

  Result<void> replace_modules(const Source& source, const ModuleMatch& match) {
    bool any = false;
    for (const auto& tensor : match.module->tensors()) {
      if (tensor.role != "modules_to_save") continue;
      const auto name = match.live + "." + std::string(tensor.leaf);
      FERRULE_CHECK(check_replacement(source, *match.module, tensor, name));
      operations_.add(name, replacer(tensor.tensor), tensor.tensor);
      any = true;
    }
    if (any) ++plan_.modules;
    return {};
  }

  Result<void> change(const Source& source, const ModuleMatch& match,
                      const ParameterSites& parameters) {
    const auto& config = source.adapter->config();
    const bool own = std::any_of(match.module->tensors().begin(), match.module->tensors().end(),
                                 [&](const AdapterTensor& tensor) {
                                   return adapter::is_method_role(config, tensor.role) &&
                                          tensor.role != "trainable_tokens_delta";
                                 });
    if (!own) return {};
    ++plan_.modules;
    if (match.standing == Standing::kConverted || is_fused_expert(match)) {
      FERRULE_TRY(auto part, expert_part(site_of(source, match), base_, live_));
      operations_.add(part.parameter, std::move(part.make));
      return {};
    }
    auto site = site_of(source, match);
    FERRULE_TRY(auto parameter, parameters.find(site, *match.module));
    if (parameter) {
      operations_.add(parameter->name, std::move(parameter->make));
      return {};
    }
    return change_layer(site);
  }

  bool is_fused_expert(const ModuleMatch& match) const {
    return match.standing == Standing::kSaid && base_.names.converts_experts();
  }

  Site site_of(const Source& source, const ModuleMatch& match) const {
    return {.adapter = source.adapter,
            .module = match.module,
            .live = match.live,
            .weight = source.weight,
            .strength = match.module->strength(),
            .undo = options_.undo};
  }

  /// The layer of a module, and what its weight and bias are called.
  struct Layer {
    Site site;
    std::string weight;
    std::string bias;
  };

  Result<void> change_layer(const Site& wanted) {
    FERRULE_TRY(auto layer, look_at_layer(wanted));
    const auto place = std::find(order_.begin(), order_.end(), layer.site.live);
    layer.site.layer = static_cast<std::size_t>(place - order_.begin());
    layer.site.layers = order_.size();
    layer.site.widest_out = widest_out_;
    layer.site.widest_in = widest_in_;
    return add_steps(layer);
  }

  Result<void> add_steps(const Layer& layer) {
    FERRULE_TRY(auto steps, plan_site(layer.site));
    for (auto& make : steps.weight) operations_.add(layer.weight, std::move(make));
    for (auto& make : steps.bias) operations_.add(layer.bias, std::move(make));
    return {};
  }

  /// Layers for which the file has no tensors, because all is drawn from a seed (Uni-LoRA).
  Result<void> change_unsaved(const Source& source, const peft::TargetRule& targets) {
    const auto& adapter = *source.adapter;
    if (!leaves_layers_out(adapter) || adapter.modules().empty()) return {};
    FERRULE_TRY(const auto paths, targeted_layers(adapter, base_, targets));
    const Site whole{.adapter = &adapter,
                     .module = &adapter.modules().front(),
                     .weight = source.weight,
                     .undo = options_.undo};
    FERRULE_TRY(const auto* theta, whole.need("unilora_theta_d"));
    const auto rank = adapter.config().integer("r").value_or(4);
    const auto length = theta->tensor.element_count();
    std::vector<Layer> layers;
    std::uint64_t count = 0;
    constexpr auto kMost = std::uint64_t{1} << 31;
    for (const auto& path : paths) {
      auto site = whole;
      site.live = path;
      FERRULE_TRY(auto layer, look_at_layer(site));
      layer.site.first_place = static_cast<std::size_t>(count);
      count += (layer.site.in() + layer.site.out()) * static_cast<std::uint64_t>(rank);
      if (rank < 1 || static_cast<std::uint64_t>(rank) > kMost || length < 1 || length >= kMost ||
          count >= kMost) {
        return whole.refuse("MG-3", "its rank and its layers do not fit the vector they share");
      }
      layers.push_back(std::move(layer));
    }
    const auto places =
        draw_places(static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(length),
                    static_cast<std::uint64_t>(adapter.config().integer("proj_seed").value_or(42)));
    for (auto& layer : layers) {
      layer.site.places = places;
      FERRULE_CHECK(add_steps(layer));
      ++plan_.modules;
    }
    return {};
  }

  /// The layers in their order, and for shared projections the largest.
  Result<void> find_layers(const Source& source, const checks::MatchResult& match) {
    widest_out_ = widest_in_ = 0;
    order_.clear();
    for (const auto& module : match.modules) {
      if (adapter::has_method_tensors(source.adapter->config(), *module.module)) {
        order_.push_back(module.live);
      }
    }
    sort_as_model(order_, base_);
    if (order_.empty() && match.modules.empty() &&
        source.adapter->config().peft_type() != "TRAINABLE_TOKENS" &&
        !leaves_layers_out(*source.adapter)) {
      return base::at(base::unsupported("MG-3",
                                        "the adapter holds nothing that belongs to a layer: there "
                                        "is nothing to merge, or what the layers take of it was "
                                        "not saved"),
                      source.adapter->weights_file());
    }
    const auto& type = source.adapter->config().peft_type();
    if (type != "VERA" && type != "PVERA" && type != "RANDLORA") return {};
    for (const auto& module : match.modules) {
      if (!adapter::has_method_tensors(source.adapter->config(), *module.module)) continue;
      FERRULE_TRY(const auto layer, look_at_layer(site_of(source, module)));
      widest_out_ = std::max(widest_out_, layer.site.out());
      widest_in_ = std::max(widest_in_, layer.site.in());
    }
    return {};
  }

  Result<Layer> look_at_layer(Site site) const {
    std::string name = site.live + ".weight";
    const auto parent = site.live.substr(0, site.live.rfind('.'));
    const bool attention =
        base_.find(name) == nullptr && base_.find(site.live + ".in_proj_weight") != nullptr;
    const bool projection = site.live.ends_with(".out_proj") &&
                            base_.find(parent + ".in_proj_weight") != nullptr &&
                            has_module_around(site);
    if (attention) name = site.live + ".in_proj_weight";
    const auto layer = checks::layer_at(base_, site.live, *site.module);
    const auto* weight = parameter(name);
    if (const auto packed = base_.packed.find(site.live);
        packed != base_.packed.end() && !packed->second.quantized) {
      return at_module({site.adapter, site.weight}, *site.module, "MG-2",
                       "the base has " + packed->second.format + " here: remove it there first");
    }
    if (base_.is_packed(site.live) || (weight == nullptr && !base_.packing.empty())) {
      return at_module({site.adapter, site.weight}, *site.module, "MG-6",
                       "the base's weight is packed (" + base_.packing +
                           "): write the base in 16 bits first, and merge into that");
    }
    if (!layer || weight == nullptr) {
      return at_module({site.adapter, site.weight}, *site.module, "MG-2",
                       "the base has no weight " + quote(name));
    }
    site.kind = layer->kind;
    site.attention = attention    ? Attention::kInput
                     : projection ? Attention::kOutput
                                  : Attention::kNone;
    site.shape = weight->shape;
    site.transposed = is_conv1d(site, *layer);
    const auto bias = site.live + (attention ? ".in_proj_bias" : ".bias");
    site.has_bias = base_.find(bias) != nullptr;
    const auto* on_disk = live_.find(weight->name);
    site.disk = live_.whole(weight->name);
    if (site.has_bias) site.disk_bias = live_.whole(base_.find(bias)->name);
    site.dtype = Dtype::kF32;
    if (on_disk != nullptr && !on_disk->parts.empty()) {
      site.dtype = on_disk->parts.front().disk->dtype();
    }
    if (options_.dtype) site.dtype = *options_.dtype;
    return Layer{std::move(site), name, bias};
  }

  Result<void> put_tokens(const Source& source, const ModuleMatch& match) {
    for (const auto& tensor : match.module->tensors()) {
      if (tensor.role != "trainable_tokens" && tensor.role != "trainable_tokens_delta") continue;
      const auto site = site_of(source, match);
      if (options_.undo) {
        return site.refuse("MG-9",
                           "it replaces the rows of trained tokens, and what was there before is "
                           "not known any more: it cannot be undone");
      }
      const auto* weight = parameter(match.live + ".weight");
      if (weight == nullptr) {
        return site.refuse("MG-2", "the base has no weight " + quote(match.live + ".weight"));
      }
      FERRULE_TRY(auto indices, token_rows(site, tensor, weight->shape));
      const auto view = tensor.tensor;
      operations_.add_to_all(
          match.live + ".weight",
          [site, view, indices](const Place& place) -> Result<std::unique_ptr<Step>> {
            if (!place.part.is_whole) {
              return site.refuse("MG-10", "the base keeps its weight in several tensors");
            }
            return std::unique_ptr<Step>(std::make_unique<RowsStep>(view, indices));
          });
      ++plan_.modules;
    }
    return {};
  }

  const model::BaseIndex& base_;
  const LiveTensors& live_;
  const PlanOptions& options_;
  Operations operations_;
  MergePlan plan_;
  /// Layers that the adapter changes, in the model's order.
  std::vector<std::string> order_;
  std::size_t widest_out_ = 0;
  std::size_t widest_in_ = 0;
};

}  // namespace

Result<MergePlan> plan_merge(std::span<const Source> sources, const BaseModel& base,
                             const BaseFiles& /*files*/, const LiveTensors& live,
                             const PlanOptions& options) {
  Planner planner(base, live, options);
  for (const auto& source : sources) FERRULE_CHECK(planner.add(source));
  return planner.finish();
}

}  // namespace ferrule::merging
