// SPDX-License-Identifier: Apache-2.0
// Quantized weights whose elements are floating-point numbers of 4 or 8 bits.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "model/quantized_readers.hpp"

namespace ferrule::model {
namespace {

using Grid = std::vector<std::uint64_t>;

bool holds_numbers(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kF16;
}

bool holds_exponents(Dtype dtype) { return dtype == Dtype::kF8E8M0 || dtype == Dtype::kU8; }

std::uint64_t blocks_of(std::uint64_t count, std::uint64_t size) {
  return count / size + (count % size != 0 ? 1 : 0);
}

/// Elements of an extent that share a scale; 0 if the scales do not fit it.
std::uint64_t block_of(std::uint64_t extent, std::uint64_t scales, std::uint64_t wanted) {
  if (scales == 1) return std::max<std::uint64_t>(extent, 1);
  if (wanted != 0 && blocks_of(extent, wanted) == scales) return wanted;
  return scales != 0 && extent % scales == 0 ? extent / scales : 0;
}

/// The shape of scales as that of a grid over the weight: [out] stands for one scale a row, or, of
/// a stack, for one scale a matrix.
Grid grid_of(const TensorView& scale, const Grid& weight) {
  Grid grid(scale.shape().begin(), scale.shape().end());
  if (scale.element_count() == 1) return Grid(weight.size(), 1);
  while (grid.size() < weight.size()) grid.push_back(1);
  return grid;
}

const Json* weights_of_groups(const Json* quantization, std::string_view field) {
  const auto* groups = quantization == nullptr ? nullptr : quantization->find("config_groups");
  if (groups == nullptr || groups->if_object() == nullptr) return nullptr;
  const Json* found = nullptr;
  for (const auto& [name, group] : *groups->if_object()) {
    const auto* weights = group.find("weights");
    const auto* value = weights == nullptr ? nullptr : weights->find(field);
    if (value == nullptr || value->is_null()) continue;
    if (found != nullptr && found->dump() != value->dump()) return nullptr;
    found = value;
  }
  return found;
}

std::uint64_t positive(const Json* value) {
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  return number == nullptr || *number <= 0 ? 0 : static_cast<std::uint64_t>(*number);
}

std::optional<Dtype> torch_dtype(std::string_view name) {
  if (name == "float32") return Dtype::kF32;
  if (name == "float16") return Dtype::kF16;
  if (name == "bfloat16") return Dtype::kBF16;
  return std::nullopt;
}

}  // namespace

unsigned packed_bits(const Json* quantization, std::uint64_t words, std::uint64_t in) {
  const auto known = positive(weights_of_groups(quantization, "num_bits"));
  if (known >= 1 && known <= 8) return static_cast<unsigned>(known);
  const auto all = base::checked_mul(words, 32);
  if (!all || in == 0) return 0;
  const auto bits = *all / in;
  return bits >= 1 && bits <= 8 ? static_cast<unsigned>(bits) : 0;
}

std::array<std::uint64_t, 2> scale_block(const Json* quantization) {
  const auto* list = quantization == nullptr ? nullptr : quantization->find("weight_block_size");
  if (list == nullptr || list->if_array() == nullptr) {
    list = weights_of_groups(quantization, "block_structure");
  }
  if (list == nullptr || list->if_array() == nullptr || list->if_array()->size() != 2) {
    return {0, 0};
  }
  return {positive(&list->if_array()->front()), positive(&list->if_array()->back())};
}

/// Finds out how many rows and columns of the weight share a scale.
Result<void> QuantizedReader::fit_grid(QuantizedWeight& weight, const TensorView& scale) const {
  const auto grid = grid_of(scale, weight.shape);
  const auto rank = weight.shape.size();
  bool fits = grid.size() == rank && rank >= 2;
  for (std::size_t axis = 0; fits && axis + 2 < rank; ++axis) {
    fits = grid[axis] == weight.shape[axis] || scale.element_count() == 1;
  }
  if (fits) {
    const auto wanted = scale_block(quantization_);
    weight.block_rows = block_of(weight.shape[rank - 2], grid[rank - 2], wanted[0]);
    weight.block_columns = block_of(weight.shape[rank - 1], grid[rank - 1], wanted[1]);
    fits = weight.block_rows != 0 && weight.block_columns != 0;
  }
  if (fits) return {};
  return misfit(weight.name, "its scales of shape " + base::shape_text(scale.shape()) +
                                 " do not fit its shape " + base::shape_text(weight.shape));
}

QuantizedReader::Found QuantizedReader::scaled(std::string_view name, const TensorView& values,
                                               std::string_view scale_name) {
  const bool integers = values.dtype() == Dtype::kI8;
  const bool inverse = scale_name.ends_with("_inv");
  auto weight =
      begin(name, values, name, Quantization::kScaled, integers ? "INT8 with scales" : "FP8");
  if (integers && inverse) return unfollowed(weight.name, "it has two values of 4 bits in a byte");
  weight.shape.assign(values.shape().begin(), values.shape().end());
  FERRULE_TRY(const auto* scale, need(std::string(scale_name), "scale", weight));
  const bool exponents = inverse && holds_exponents(scale->dtype());
  if (!exponents && !holds_numbers(scale->dtype())) {
    return misfit(weight.name,
                  "its scales are of dtype " + std::string(dtype_name(scale->dtype())));
  }
  FERRULE_CHECK(fit_grid(weight, *scale));
  // transformers multiplies in F32, compressed-tensors in the dtype of the scales.
  weight.arithmetic = inverse ? Dtype::kF32 : scale->dtype();
  const auto* zeros = take(std::string(name) + "_zero_point", "zeros", weight);
  if (zeros != nullptr &&
      (zeros->dtype() != Dtype::kI8 || zeros->element_count() != scale->element_count())) {
    return misfit(weight.name, "its zero points do not fit its scales");
  }
  return std::optional(std::move(weight));
}

QuantizedReader::Found QuantizedReader::fp4_groups(std::string_view name, std::string_view path,
                                                   const TensorView& bytes) {
  const std::string at(path);
  const bool own_names = name.ends_with(".weight");  // ModelOpt's.
  auto weight = begin(name, bytes, at + ".weight", Quantization::kFp4Groups, "NVFP4");
  FERRULE_TRY(const auto* scale, need(at + ".weight_scale", "scale", weight));
  const auto* global =
      take(at + (own_names ? ".weight_scale_2" : ".weight_global_scale"), "global", weight);
  const bool exponents = holds_exponents(scale->dtype());
  if (exponents) weight.format = "MXFP4";
  weight.shape.assign(bytes.shape().begin(), bytes.shape().end());
  Grid groups(scale->shape().begin(), scale->shape().end());
  const bool same = weight.shape.size() >= 2 && groups.size() == weight.shape.size() &&
                    std::equal(groups.begin(), groups.end() - 1, weight.shape.begin());
  const auto columns = same ? base::checked_mul(weight.shape.back(), 2) : std::nullopt;
  if (bytes.dtype() != Dtype::kU8 || !columns || groups.back() == 0 ||
      *columns % groups.back() != 0 || (scale->dtype() != Dtype::kF8E4M3 && !exponents)) {
    return misfit(weight.name, "its scales of shape " + base::shape_text(scale->shape()) +
                                   " do not fit its bytes of shape " +
                                   base::shape_text(bytes.shape()));
  }
  if (global != nullptr && (global->dtype() != Dtype::kF32 || global->element_count() != 1)) {
    return misfit(weight.name, "its scale of the whole weight is not one number of dtype F32");
  }
  weight.shape.back() = *columns;
  weight.block_columns = std::max<std::uint64_t>(*columns / groups.back(), 1);
  weight.global_divides = !own_names;
  weight.arithmetic = own_names ? Dtype::kF32 : Dtype::kBF16;
  return std::optional(std::move(weight));
}

QuantizedReader::Found QuantizedReader::mxfp4_experts(std::string_view path,
                                                      const TensorView& blocks) {
  const std::string at(path);
  auto weight = begin(at + "_blocks", blocks, at, Quantization::kMxfp4Experts, "MXFP4");
  FERRULE_TRY(const auto* scale, need(at + "_scales", "scale", weight));
  const auto shape = blocks.shape();
  const auto columns =
      shape.size() == 4 && shape[3] == 16 ? base::checked_mul(shape[2], 32) : std::nullopt;
  if (!columns || !holds_exponents(scale->dtype()) ||
      !std::equal(scale->shape().begin(), scale->shape().end(), shape.begin(), shape.end() - 1)) {
    return misfit(weight.name, "blocks of shape " + base::shape_text(shape) + " and scales of " +
                                   base::shape_text(scale->shape()) + " do not fit each other");
  }
  weight.shape = {shape[0], *columns, shape[1]};
  return std::optional(std::move(weight));
}

/// What bitsandbytes says in a tensor of JSON: the shape, the sizes of blocks, the dtype.
Result<void> QuantizedReader::read_quant_state(std::string_view name, QuantizedWeight& weight) {
  const std::string own(name);
  const auto* state = take(own + ".quant_state.bitsandbytes__nf4", "state", weight);
  if (state == nullptr) state = take(own + ".quant_state.bitsandbytes__fp4", "state", weight);
  if (state == nullptr) return misfit(name, "the base has no quant_state for it");
  const auto bytes = state->bytes();
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto parsed = Json::parse(text);
  if (!parsed) return misfit(name, "its quant_state is not JSON");
  const auto* shape = parsed->find("shape");
  const auto* dtype = parsed->find("dtype");
  if (shape == nullptr || shape->if_array() == nullptr || shape->if_array()->size() < 2) {
    return misfit(name, "its quant_state has no shape");
  }
  for (const auto& extent : *shape->if_array()) weight.shape.push_back(positive(&extent));
  weight.block_columns = positive(parsed->find("blocksize"));
  weight.nested_block = positive(parsed->find("nested_blocksize"));
  if (const auto* offset = parsed->find("nested_offset")) {
    weight.nested_offset = offset->number().value_or(0);
  }
  const auto known = dtype == nullptr || dtype->if_string() == nullptr
                         ? std::nullopt
                         : torch_dtype(*dtype->if_string());
  if (weight.block_columns == 0 || !known) {
    return misfit(name, "its quant_state has no blocksize or no dtype");
  }
  weight.arithmetic = *known;
  return {};
}

QuantizedReader::Found QuantizedReader::normal_float(std::string_view name,
                                                     const TensorView& bytes) {
  const std::string own(name);
  auto weight = begin(name, bytes, name, Quantization::kNormalFloat, "bitsandbytes, 4 bits");
  FERRULE_CHECK(read_quant_state(name, weight));
  FERRULE_TRY(const auto* absmax, need(own + ".absmax", "scale", weight));
  FERRULE_TRY(const auto* code, need(own + ".quant_map", "code", weight));
  const auto* nested = take(own + ".nested_absmax", "nested", weight);
  const auto count = element_count(weight.shape);
  const auto stored = static_cast<std::uint64_t>(bytes.bytes().size());
  if (!count || *count == 0 || blocks_of(*count, 2) != stored ||
      absmax->element_count() != blocks_of(*count, weight.block_columns) ||
      code->dtype() != Dtype::kF32 || code->element_count() != 16) {
    return misfit(weight.name, "its bytes, maxima and shape " + base::shape_text(weight.shape) +
                                   " do not fit each other");
  }
  if (nested == nullptr) {
    if (absmax->dtype() != Dtype::kF32)
      return misfit(weight.name, "its maxima are not of dtype F32");
    return std::optional(std::move(weight));
  }
  FERRULE_TRY(const auto* map, need(own + ".nested_quant_map", "nested code", weight));
  if (weight.nested_block == 0 || absmax->dtype() != Dtype::kU8 || nested->dtype() != Dtype::kF32 ||
      map->dtype() != Dtype::kF32 || map->element_count() != 256 ||
      nested->element_count() != blocks_of(absmax->element_count(), weight.nested_block)) {
    return misfit(weight.name, "its nested maxima do not fit each other");
  }
  return std::optional(std::move(weight));
}

}  // namespace ferrule::model
