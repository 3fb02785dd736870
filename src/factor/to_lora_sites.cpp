// SPDX-License-Identifier: Apache-2.0
#include "factor/to_lora_sites.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "adapter/method_modules.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "check/live_config.hpp"
#include "factor/lora_source.hpp"
#include "ferrule/text.hpp"
#include "merge/refusals.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

using checks::LayerKind;

/// The update is B A.
bool is_product(const Adapter& adapter) {
  const auto& config = adapter.config();
  if (config.use_dora()) return false;
  return config.peft_type() == "ADALORA" ||
         (config.peft_type() == "LORA" && check_plain(adapter).has_value());
}

std::uint64_t extent(const AdapterModule& module, std::string_view role, std::size_t axis) {
  const auto* tensor = module.find(role);
  const auto shape = tensor == nullptr ? std::span<const std::uint64_t>() : tensor->tensor.shape();
  return axis < shape.size() ? shape[axis] : 0;
}

/// Rows and columns of a factor of LoKr: the matrix itself, or a product of two.
std::array<std::uint64_t, 2> lokr_factor(const AdapterModule& module, const std::string& name) {
  if (module.find(name) != nullptr) return {extent(module, name, 0), extent(module, name, 1)};
  return {extent(module, name + "_a", 0), extent(module, name + "_b", 1)};
}

/// The weight's shape from the factors alone; empty if they do not tell it.
std::vector<std::uint64_t> shape_from_factors(const AdapterConfig& config,
                                              const AdapterModule& module) {
  std::array<std::uint64_t, 2> shape = {0, 0};
  const auto& type = config.peft_type();
  if (type == "LOHA" && module.find("hada_t1") == nullptr) {
    shape = {extent(module, "hada_w1_a", 0), extent(module, "hada_w1_b", 1)};
  } else if (type == "LOKR" && module.find("lokr_t2") == nullptr) {
    const auto one = lokr_factor(module, "lokr_w1");
    const auto two = lokr_factor(module, "lokr_w2");
    shape = {one[0] * two[0], one[1] * two[1]};
  }
  if (shape[0] == 0 || shape[1] == 0) return {};
  return {shape[0], shape[1]};
}

class Finder {
 public:
  Finder(const Adapter& adapter, const OpenBase& base)
      : adapter_(adapter), base_(base), index_(BaseModelAccess::index(base.model)) {}

  Result<std::vector<ToLoraSite>> find() {
    FERRULE_TRY(const auto live_config, checks::live_config(adapter_.config(), index_));
    if (live_config.refused) return merging::as_error(adapter_, *live_config.refused);
    FERRULE_TRY(const auto targets, peft::TargetRule::compile(live_config.config));
    FERRULE_TRY(const auto match, checks::match_modules(adapter_, live_config, index_, targets));
    FERRULE_CHECK(merging::refuse_unmatched(adapter_, index_, match));
    std::vector<ToLoraSite> sites;
    for (const auto& module : match.modules) {
      if (!adapter::has_method_tensors(adapter_.config(), *module.module)) continue;
      if (module.module->path().empty()) continue;
      FERRULE_TRY(auto site, find_one(module));
      sites.push_back(std::move(site));
    }
    return sites;
  }

 private:
  Result<TensorView> on_disk(const merging::Site& site, const std::string& name) const {
    const auto* tensor = index_.find(name);
    const auto* live = tensor == nullptr ? nullptr : base_.live.find(tensor->name);
    if (live == nullptr || live->parts.size() != 1 || !live->parts.front().is_whole) {
      return site.refuse("FA-15", "the base does not have its weight " + quote(name) +
                                      " as one tensor, which a LoRA could change");
    }
    const auto view = live->parts.front().disk->view;
    if (update::has_values(view.dtype())) return view;
    return site.refuse("FA-15", "the base's weight is of dtype " +
                                    std::string(dtype_name(view.dtype())) +
                                    ", expected F64, F32, BF16 or F16");
  }

  Result<ToLoraSite> find_one(const checks::ModuleMatch& match) const {
    ToLoraSite out{.site = {.adapter = &adapter_,
                            .module = match.module,
                            .live = match.live,
                            .strength = match.module->strength()},
                   .layout = {},
                   .weight = {},
                   .bias = {},
                   .product = {}};
    auto& site = out.site;
    const auto layer = checks::layer_at(index_, match.live, *match.module);
    if (!layer) return site.refuse("FA-15", "the base has no layer there that a LoRA could adapt");
    FERRULE_TRY(out.weight, on_disk(site, match.live + ".weight"));
    site.kind = layer->kind;
    site.shape.assign(out.weight->shape().begin(), out.weight->shape().end());
    site.transposed = merging::is_conv1d(site, *layer);
    site.has_bias = index_.find(match.live + ".bias") != nullptr;
    site.disk = base_.live.whole(index_.find(match.live + ".weight")->name);
    site.dtype = out.weight->dtype();
    if (site.has_bias) {
      FERRULE_TRY(out.bias, on_disk(site, match.live + ".bias"));
      site.disk_bias = base_.live.whole(index_.find(match.live + ".bias")->name);
    }
    if (site.kind == LayerKind::kOther || site.shape.size() < 2) {
      return site.refuse("FA-15", "a LoRA cannot adapt a layer of this kind");
    }
    out.turned = site.transposed || site.kind == LayerKind::kEmbedding;
    out.layout = FactorLayout::of_weight(std::string(match.module->path()), site.shape, out.turned);
    out.layout.is_embedding = site.kind == LayerKind::kEmbedding;
    return out;
  }

  const Adapter& adapter_;
  const OpenBase& base_;
  const model::BaseIndex& index_;
};

Result<ToLoraSite> product_site(const Adapter& adapter, const AdapterModule& module) {
  ToLoraSite out{.site = {.adapter = &adapter, .module = &module},
                 .layout = {},
                 .weight = {},
                 .bias = {},
                 .product = update::low_rank_update(adapter.config(), module)};
  if (!out.product || !module.resolved().strength) {
    return out.site.refuse("FA-5", "its factors cannot be computed with");
  }
  for (const auto* tensor : {out.product->a, out.product->b}) {
    FERRULE_CHECK(refuse_not_finite(adapter, *tensor));
  }
  out.layout = FactorLayout::of(module, *out.product);
  return out;
}

Result<ToLoraSite> site_without_base(const Adapter& adapter, const AdapterModule& module) {
  if (is_product(adapter)) return product_site(adapter, module);
  ToLoraSite out{.site = {.adapter = &adapter,
                          .module = &module,
                          .live = std::string(module.path()),
                          .kind = LayerKind::kLinear,
                          .shape = shape_from_factors(adapter.config(), module),
                          .strength = module.strength()},
                 .layout = {},
                 .weight = {},
                 .bias = {},
                 .product = {}};
  if (out.site.shape.empty()) {
    const auto& type = adapter.config().peft_type();
    return out.site.refuse(
        "FA-14", "what " + (adapter.config().use_dora() ? std::string("DoRA") : type) +
                     " does to the weight depends on the weight, or on its shape: give the base "
                     "(--base)");
  }
  out.layout = FactorLayout::of_weight(std::string(module.path()), out.site.shape, false);
  return out;
}

Result<std::vector<double>> apply(const std::vector<merging::StepMaker>& makers,
                                  std::span<const std::uint64_t> shape,
                                  std::vector<double> values) {
  merging::DiskTensor disk;
  disk.view = {};
  merging::LiveTensor live{.shape = {shape.begin(), shape.end()}, .parts = {}};
  std::vector<std::byte> none;
  live.parts.push_back({.disk = &disk, .is_whole = true});
  const auto rows = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  const auto original = values;
  for (const auto& make : makers) {
    FERRULE_TRY(auto step, make({live, live.parts.front()}));
    FERRULE_CHECK(step->begin(true));
    const merging::Tile<double> tile{.values = values.data(),
                                     .original = original.data(),
                                     .rows = rows,
                                     .columns = rows == 0 ? 0 : values.size() / rows};
    FERRULE_CHECK(step->apply(tile, merging::Rounding{.dtype = Dtype::kF64, .exact = true}));
    step->end();
  }
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= original[i];
  return values;
}

}  // namespace

Result<OpenBase> OpenBase::open(const std::filesystem::path& directory,
                                const OpenOptions& options) {
  FERRULE_TRY(auto files, merging::BaseFiles::open(directory, options));
  FERRULE_TRY(auto model, BaseModel::open(directory, options));
  FERRULE_TRY(auto live, merging::LiveTensors::read(files, BaseModelAccess::index(model)));
  return OpenBase{std::move(files), std::move(model), std::move(live)};
}

Result<std::vector<ToLoraSite>> to_lora_sites(const Adapter& adapter, const OpenBase* base) {
  FERRULE_CHECK(merging::refuse_method(adapter));
  FERRULE_CHECK(refuse_errors(adapter));
  // AdaLoRA has the factors of a convolution as matrices: only the base knows its kernel.
  const bool flat = adapter.config().peft_type() == "ADALORA";
  if (base != nullptr && (flat || !is_product(adapter))) return Finder(adapter, *base).find();
  if (adapter.config().peft_type() == "LORA") FERRULE_CHECK(check_plain(adapter));
  std::vector<ToLoraSite> sites;
  for (const auto& module : adapter.modules()) {
    if (!adapter::has_method_tensors(adapter.config(), module) || module.path().empty()) continue;
    FERRULE_TRY(auto site, site_without_base(adapter, module));
    sites.push_back(std::move(site));
  }
  return sites;
}

Result<DenseUpdate> update_of(const ToLoraSite& site) {
  FERRULE_TRY(const auto steps, merging::plan_site(site.site));
  std::vector<double> values(site.layout.in * site.layout.out);
  if (site.weight) update::read_values(*site.weight, 0, values);
  FERRULE_TRY(values, apply(steps.weight, site.site.shape, std::move(values)));
  DenseUpdate update(site.layout.out, site.layout.in);
  float* to = update.row(0);
  for (std::size_t i = 0; i < update.rows(); ++i) {
    for (std::size_t j = 0; j < update.columns(); ++j) {
      const double value = values[site.turned ? j * update.rows() + i : i * update.columns() + j];
      if (!std::isfinite(value)) {
        return site.site.refuse("FA-5", "its update has values that are not finite");
      }
      *to++ = static_cast<float>(value);
    }
  }
  return update;
}

Result<std::vector<double>> bias_update_of(const ToLoraSite& site) {
  if (!site.bias || site.product) return std::vector<double>();
  FERRULE_TRY(const auto steps, merging::plan_site(site.site));
  if (steps.bias.empty()) return std::vector<double>();
  std::vector<double> values(static_cast<std::size_t>(site.bias->element_count()));
  update::read_values(*site.bias, 0, values);
  return apply(steps.bias, site.bias->shape(), std::move(values));
}

}  // namespace ferrule::factor
