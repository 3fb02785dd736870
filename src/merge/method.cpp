// SPDX-License-Identifier: Apache-2.0
#include "merge/method.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/methods/methods.hpp"
#include "merge/simple_steps.hpp"

namespace ferrule::merging {
namespace {

std::size_t product_from(std::span<const std::uint64_t> shape, std::size_t first) {
  std::size_t count = 1;
  for (auto axis = first; axis < shape.size(); ++axis) {
    count *= static_cast<std::size_t>(shape[axis]);
  }
  return count;
}

Strided skip(Strided at, std::size_t elements) {
  at.first += elements * at.element;
  return at;
}

/// Of a live parameter as a stack of matrices.
struct Stack {
  std::size_t experts;
  std::size_t rows;
  std::size_t columns;
};

Stack stack_of(const LiveTensor& live, const Factors& factors) {
  if (factors.stacked) {
    return {factors.experts, static_cast<std::size_t>(live.shape[1]), product_from(live.shape, 2)};
  }
  return {1, static_cast<std::size_t>(live.shape.empty() ? 1 : live.shape[0]),
          product_from(live.shape, 1)};
}

Result<std::unique_ptr<Step>> low_rank_step(const Factors& factors, const Place& place) {
  const auto& part = place.part;
  const auto stack = stack_of(place.live, factors);
  const auto disk = part.disk->shape();
  const auto columns = part.transposed ? static_cast<std::size_t>(disk.back()) : stack.columns;
  auto step = std::make_unique<LowRankStep>(factors.rank, columns, factors.scale, factors.rounding);
  step->divide_by(factors.divisor);
  if (factors.make_float) {
    // The step's A is over columns, which may be the B of the factors.
    if (factors.swapped != part.transposed) {
      step->make_factors([make = factors.make_float](auto& a, auto& b) { return make(b, a); },
                         [make = factors.make_double](auto& a, auto& b) { return make(b, a); });
    } else {
      step->make_factors(factors.make_float, factors.make_double);
    }
  }
  const bool single = factors.stacked && disk.size() < 3;
  const std::size_t first = single ? part.expert : 0;
  const std::size_t count = single ? 1 : stack.experts;
  for (std::size_t i = 0; i < count; ++i) {
    auto over_rows = factors.swapped ? factors.a(first + i) : factors.b(first + i);
    auto over_columns = factors.swapped ? factors.b(first + i) : factors.a(first + i);
    if (part.transposed) std::swap(over_rows, over_columns);
    const auto live_rows = part.transposed ? stack.columns : stack.rows;
    const auto rows = part.rows != 0 ? part.rows : live_rows;
    step->add({.first_row = i * rows + part.disk_row,
               .rows = rows,
               .a = over_columns,
               .b = skip(over_rows, part.row)});
  }
  return std::unique_ptr<Step>(std::move(step));
}

/// A method that is computed on the whole weight.
class DenseStep final : public Step {
 public:
  DenseStep(Site site, const Dense& dense) : site_(std::move(site)), dense_(dense) {}

  bool needs_all_rows() const noexcept override { return true; }
  bool needs_original() const noexcept override { return dense_.needs_original; }
  Result<void> apply(const Tile<float>& tile, const Rounding& rounding) const override {
    return run(tile, rounding, dense_.narrow);
  }
  Result<void> apply(const Tile<double>& tile, const Rounding& rounding) const override {
    return run(tile, rounding, dense_.wide);
  }

 private:
  template <typename T>
  Matrix<T> take(const T* values, const Tile<T>& tile, bool transposed) const {
    if (!transposed) {
      return {tile.rows, tile.columns, std::vector<T>(values, values + tile.rows * tile.columns)};
    }
    Matrix<T> out(tile.columns, tile.rows);
    for (std::size_t i = 0; i < tile.rows; ++i) {
      for (std::size_t j = 0; j < tile.columns; ++j) out.at(j, i) = values[i * tile.columns + j];
    }
    return out;
  }

  template <typename T, typename Function>
  Result<void> run(const Tile<T>& tile, const Rounding& rounding, Function function) const {
    const bool transposed = site_.transposed && !dense_.as_stored;
    const auto weight = take(tile.values, tile, transposed);
    Matrix<T> out(weight.rows, weight.columns);
    if (dense_.needs_original && tile.original != nullptr) {
      const auto original = take(tile.original, tile, transposed);
      FERRULE_CHECK(function(site_, rounding, weight, original, out));
    } else {
      FERRULE_CHECK(function(site_, rounding, weight, weight, out));
    }
    const auto factor = static_cast<T>(site_.undo ? -site_.weight : site_.weight);
    const bool is_delta = dense_.gives == Dense::Gives::kDelta;
    if (is_delta && factor != 1) {
      for (auto& value : out.values) value *= factor;
    }
    if (is_delta && dense_.rounding == DeltaRounding::kDelta) {
      rounding.round(out.values.data(), out.values.size());
    }
    for (std::size_t i = 0; i < tile.rows; ++i) {
      for (std::size_t j = 0; j < tile.columns; ++j) {
        const T made = transposed ? out.at(j, i) : out.at(i, j);
        T& value = tile.values[i * tile.columns + j];
        if (is_delta) {
          value += made;
        } else {
          value = site_.weight == 1 ? made : value + static_cast<T>(site_.weight) * (made - value);
        }
      }
    }
    return {};
  }

  Site site_;
  Dense dense_;
};

/// False if a tensor of the module tells that the layer is not of that many features.
bool fits(const Site& site) {
  const checks::BaseLayer layer{
      .kind = checks::LayerKind::kLinear, .weight = {site.out(), site.in()}, .either = false};
  return std::all_of(site.module->tensors().begin(), site.module->tensors().end(),
                     [&](const AdapterTensor& tensor) {
                       return !checks::expected_shape(site.config(), tensor, layer);
                     }) &&
         !checks::shapes_disagree(site.config(), *site.module, layer);
}

}  // namespace

bool is_conv1d(const Site& site, const checks::BaseLayer& layer) {
  if (site.shape.size() != 2) return false;
  if (layer.kind == checks::LayerKind::kConv1D) return true;
  if (!layer.either && layer.kind != checks::LayerKind::kLinear) return false;
  if (site.shape[0] == site.shape[1]) return layer.either && site.config().flag("fan_in_fan_out");
  auto crossed = site;
  crossed.transposed = true;
  return !fits(site) && fits(crossed);
}

bool has_module_around(const Site& site) {
  constexpr std::string_view kWrapped = ".base_layer";
  auto path = site.module->path();
  path = path.substr(0, path.find_last_of('.'));
  if (path.ends_with(kWrapped)) path.remove_suffix(kWrapped.size());
  const auto& modules = site.adapter->modules();
  return std::any_of(modules.begin(), modules.end(),
                     [path](const AdapterModule& module) { return module.path() == path; });
}

std::size_t Site::out() const noexcept {
  if (shape.empty()) return 0;
  return static_cast<std::size_t>(transposed ? shape[1] : shape[0]);
}

std::size_t Site::in() const noexcept {
  if (shape.empty()) return 0;
  return transposed ? static_cast<std::size_t>(shape[0]) : product_from(shape, 1);
}

const AdapterTensor* Site::find(std::string_view role) const {
  if (const auto* own = module->find(role)) return own;
  for (const auto& other : adapter->modules()) {
    if (!other.path().empty()) break;  // Those of the whole model come first.
    if (const auto* shared = other.find(role)) return shared;
  }
  return nullptr;
}

Result<const AdapterTensor*> Site::need(std::string_view role) const {
  const auto* tensor = find(role);
  if (tensor == nullptr) {
    return refuse("MG-3", "the file has no " + std::string(role) + " for it");
  }
  if (!has_numbers(tensor->tensor.dtype())) {
    return refuse("MG-3", std::string(role) + " is of dtype " +
                              std::string(dtype_name(tensor->tensor.dtype())) +
                              ", expected F64, F32, BF16 or F16");
  }
  return tensor;
}

Error Site::refuse(std::string_view rule, std::string message) const {
  return base::at(
      base::unsupported(rule, "module " + quote(module->path()) + ": " + std::move(message)),
      adapter->weights_file().empty() ? adapter->directory() : adapter->weights_file());
}

StepMaker low_rank_maker(Factors factors) {
  return
      [factors = std::move(factors)](const Place& place) { return low_rank_step(factors, place); };
}

StepMaker dense_maker(const Site& site, const Dense& dense) {
  return [site, dense](const Place& place) -> Result<std::unique_ptr<Step>> {
    return whole_weight_step(site, std::make_unique<DenseStep>(site, dense), place);
  };
}

Result<std::unique_ptr<Step>> whole_weight_step(const Site& site, std::unique_ptr<Step> step,
                                                const Place& place) {
  if (place.part.is_whole) return step;
  if (place.part.rows != 0 && place.live.parts.size() == 1 && !place.part.transposed &&
      place.live.shape.size() == place.part.disk->shape().size()) {
    return std::unique_ptr<Step>(
        std::make_unique<PartStep>(std::move(step), place.part.disk_row, place.part.rows));
  }
  return site.refuse("MG-10", "the base keeps its weight in several tensors, and " +
                                  site.config().peft_type() +
                                  " needs it whole; save the base first, with transformers' "
                                  "save_pretrained(save_original_format=False)");
}

StepMaker bias_adder(const TensorView& vector, double factor) {
  return [vector, factor](const Place&) -> Result<std::unique_ptr<Step>> {
    return std::unique_ptr<Step>(
        std::make_unique<AddVectorStep>(vector, factor, AddVectorStep::Kind::kAdd));
  };
}

StepMaker bias_scaler(const TensorView& vector, double weight, bool divides) {
  const auto kind = divides ? AddVectorStep::Kind::kDivide : AddVectorStep::Kind::kMultiply;
  return [vector, weight, kind](const Place&) -> Result<std::unique_ptr<Step>> {
    return std::unique_ptr<Step>(std::make_unique<AddVectorStep>(vector, weight, kind));
  };
}

Result<SiteSteps> plan_site(const Site& site) {
  const auto& type = site.config().peft_type();
  for (const auto& method : mergeable_methods()) {
    if (method.type == type) return method.plan(site);
  }
  return site.refuse("MG-1", "PEFT has no way to merge " + type);
}

}  // namespace ferrule::merging
