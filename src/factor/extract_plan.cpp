// SPDX-License-Identifier: Apache-2.0
#include "factor/extract_plan.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/mapping.hpp"
#include "merge/kernels.hpp"
#include "merge/numbers.hpp"
#include "model/base_model.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

constexpr std::string_view kWeight = ".weight";
// Elements of a difference that are made at a time.
constexpr std::size_t kStretch = 512;

template <typename T>
void load(const TensorView& view, std::size_t first, T* to, std::size_t count) {
  const auto* const from = view.bytes().data() + first * (bit_width(view.dtype()) / 8);
  merging::load_numbers(view.dtype(), from, to, count);
}

template <typename T>
void subtract_as(const TensorView& base, const TensorView& tuned, std::size_t first,
                 std::span<float> out) {
  T before[kStretch];
  T after[kStretch];
  load(base, first, before, out.size());
  load(tuned, first, after, out.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(after[i] - before[i]);
}

/// Elements of tuned - base from `first` on, rounded once.
void subtract(const TensorView& base, const TensorView& tuned, std::size_t first,
              std::span<float> out) {
  if (base.dtype() == Dtype::kF32 && tuned.dtype() == Dtype::kF32) {
    merging::kernels().subtract_f32(base.bytes().data() + first * sizeof(float),
                                    tuned.bytes().data() + first * sizeof(float), out.data(),
                                    out.size());
    return;
  }
  const bool wide = base.dtype() == Dtype::kF64 || tuned.dtype() == Dtype::kF64;
  while (!out.empty()) {
    const auto part = out.first(std::min(kStretch, out.size()));
    if (wide) {
      subtract_as<double>(base, tuned, first, part);
    } else {
      subtract_as<float>(base, tuned, first, part);
    }
    out = out.subspan(part.size());
    first += part.size();
  }
}

bool same_values(const TensorPair& pair) {
  if (pair.base.dtype() == pair.tuned.dtype()) {
    return std::ranges::equal(pair.base.bytes(), pair.tuned.bytes());
  }
  if (!update::has_values(pair.base.dtype()) || !update::has_values(pair.tuned.dtype())) {
    return false;
  }
  return relative_change(pair).value_or(1) == 0;
}

/// Names that embeddings have in models whose class is not known.
bool looks_like_embedding(std::string_view path) {
  const auto leaf = path.substr(path.rfind('.') + 1);
  return leaf.find("embed") != std::string_view::npos || leaf == "wte" || leaf == "wpe" ||
         leaf == "shared";
}

/// What LoRA makes of the module that owns the weight: 'L' for a linear layer, 'C' for Conv1D, 'V'
/// for a convolution, or '-' for none of these.
char layer_letter(const model::BaseIndex& base, std::string_view path,
                  std::span<const std::uint64_t> shape) {
  const auto kind = base.kind_of(path);
  if (shape.size() < 2) return '-';
  switch (kind.letter) {
    case 'L':
    case 'C':
      return shape.size() == 2 ? kind.letter : '-';
    case '1':
    case '2':
    case '3':
      return 'V';
    case '?':
      if (shape.size() == 2) return looks_like_embedding(path) ? '-' : 'L';
      return shape.size() <= 5 ? 'V' : '-';
    default:
      return '-';
  }
}

class Planner {
 public:
  Planner(const ModelPair& models, const std::filesystem::path& tuned)
      : models_(models), index_(BaseModelAccess::index(models.base_model)), tuned_path_(tuned) {}

  Result<ExtractPlan> plan() {
    if (!index_.packing.empty()) {
      return base::unsupported("FA-12", "the base is quantized (" + index_.packing +
                                            "): its weights cannot be subtracted");
    }
    for (const auto& [name, view] : models_.base.tensors()) {
      FERRULE_TRY(auto pair, match(std::string(name), view));
      FERRULE_CHECK(compare(std::move(pair)));
    }
    FERRULE_CHECK(look_at_added());
    std::sort(plan_.layers.begin(), plan_.layers.end(),
              [](const auto& a, const auto& b) { return a.layout.path < b.layout.path; });
    std::sort(plan_.others.begin(), plan_.others.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(plan_);
  }

 private:
  Error differ(std::string message) const {
    return base::at(base::unsupported("FA-10", std::move(message)), tuned_path_);
  }

  /// The tensor that holds the memory of a tied one of that name, or nullopt.
  static std::optional<TensorView> holder(const model::BaseIndex& index, const Checkpoint& files,
                                          std::string_view name) {
    for (const auto& [tied, kept] : index.tied) {
      if (tied == name) return files.find(kept);
    }
    return std::nullopt;
  }

  Result<TensorPair> match(std::string name, const TensorView& view) const {
    auto tuned = models_.tuned.find(name);
    if (!tuned) tuned = holder(BaseModelAccess::index(models_.tuned_model), models_.tuned, name);
    if (!tuned) return differ("it has no tensor " + quote(name) + ", which the base has");
    if (!std::ranges::equal(view.shape(), tuned->shape())) {
      return differ("tensor " + quote(name) + " has shape " + base::shape_text(tuned->shape()) +
                    ", expected " + base::shape_text(view.shape()) + " as in the base");
    }
    return TensorPair{.name = std::move(name), .live = {}, .base = view, .tuned = *tuned};
  }

  Result<void> compare(TensorPair pair) {
    FERRULE_TRY(auto renamed, index_.names.rename(pair.name));
    // Experts that transformers 5 fuses at load are not layers of the live model.
    const bool fused = renamed.converter != nullptr;
    pair.live = fused ? pair.name : std::move(renamed.name);
    const auto path = pair.live.ends_with(kWeight)
                          ? pair.live.substr(0, pair.live.size() - kWeight.size())
                          : std::string();
    const char letter = fused || path.empty() ? '-' : layer_letter(index_, path, pair.base.shape());
    const bool changed = !same_values(pair);
    if (letter == '-') {
      if (changed) plan_.others.push_back(std::move(pair));
      return {};
    }
    plan_.has_conv1d = plan_.has_conv1d || letter == 'C';
    if (!changed) {
      plan_.unchanged.push_back(path);
      return {};
    }
    if (!update::has_values(pair.base.dtype()) || !update::has_values(pair.tuned.dtype())) {
      return base::at(base::unsupported("FA-12", "tensor " + quote(pair.name) + " is of dtype " +
                                                     std::string(dtype_name(pair.tuned.dtype())) +
                                                     ", expected F64, F32, BF16 or F16"),
                      tuned_path_);
    }
    auto layout = FactorLayout::of_weight(path, pair.base.shape(), letter == 'C');
    plan_.layers.push_back({std::move(pair), std::move(layout), letter == 'C'});
    return {};
  }

  /// Tensors that only the tuned model has: heads that are tied no longer.
  Result<void> look_at_added() {
    for (const auto& [name, view] : models_.tuned.tensors()) {
      if (models_.base.find(name)) continue;
      const auto held = holder(index_, models_.base, name);
      if (!held) return differ("it has tensor " + quote(name) + ", which the base lacks");
      TensorPair pair{
          .name = std::string(name), .live = std::string(name), .base = *held, .tuned = view};
      if (!std::ranges::equal(held->shape(), view.shape())) {
        return differ("tensor " + quote(name) + " has shape " + base::shape_text(view.shape()) +
                      ", expected " + base::shape_text(held->shape()) + " as in the base");
      }
      if (!same_values(pair)) plan_.others.push_back(std::move(pair));
    }
    return {};
  }

  const ModelPair& models_;
  const model::BaseIndex& index_;
  const std::filesystem::path& tuned_path_;
  ExtractPlan plan_;
};

}  // namespace

Result<ModelPair> ModelPair::open(const std::filesystem::path& base,
                                  const std::filesystem::path& tuned, const OpenOptions& options) {
  FERRULE_TRY(auto base_model, BaseModel::open(base, options));
  FERRULE_TRY(auto tuned_model, BaseModel::open(tuned, options));
  FERRULE_TRY(auto base_files, Checkpoint::open(base, options));
  FERRULE_TRY(auto tuned_files, Checkpoint::open(tuned, options));
  return ModelPair{std::move(base_model), std::move(tuned_model), std::move(base_files),
                   std::move(tuned_files)};
}

Result<ExtractPlan> plan_extract(const ModelPair& models, const std::filesystem::path& tuned) {
  return Planner(models, tuned).plan();
}

DenseUpdate difference(const ChangedLayer& layer) {
  const std::size_t rows = layer.transposed ? layer.layout.in : layer.layout.out;
  const std::size_t columns = layer.transposed ? layer.layout.out : layer.layout.in;
  const auto make = [base = layer.weight.base, tuned = layer.weight.tuned, columns](
                        std::size_t row, std::size_t column, std::span<float> out) {
    subtract(base, tuned, row * columns + column, out);
  };
  const auto prepare = [base = layer.weight.base, tuned = layer.weight.tuned, columns](
                           std::size_t first, std::size_t height) {
    for (const auto& view : {base, tuned}) {
      const auto row_bytes = columns * (bit_width(view.dtype()) / 8);
      io::populate_pages(view.bytes().subspan(first * row_bytes, height * row_bytes));
    }
  };
  return {rows, columns, make, prepare};
}

std::optional<double> relative_change(const TensorPair& pair) {
  if (!update::has_values(pair.base.dtype()) || !update::has_values(pair.tuned.dtype())) {
    return std::nullopt;
  }
  constexpr std::size_t kPart = 4096;
  std::vector<double> before, after;
  double square = 0, distance = 0;
  const auto elements = static_cast<std::size_t>(pair.base.element_count());
  for (std::size_t first = 0; first < elements; first += kPart) {
    const auto count = std::min(kPart, elements - first);
    before.resize(count);
    after.resize(count);
    update::read_values(pair.base, first, before);
    update::read_values(pair.tuned, first, after);
    for (std::size_t i = 0; i < count; ++i) {
      square += before[i] * before[i];
      distance += (after[i] - before[i]) * (after[i] - before[i]);
    }
  }
  if (distance == 0) return 0;
  if (square == 0) return std::nullopt;
  return std::sqrt(distance / square);
}

}  // namespace ferrule::factor
