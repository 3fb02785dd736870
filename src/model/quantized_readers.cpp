// SPDX-License-Identifier: Apache-2.0
#include "model/quantized_readers.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "model/quantization.hpp"

namespace ferrule::model {
namespace {

using Extents = std::vector<std::uint64_t>;

Extents extents_of(const TensorView& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

bool is_number(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kF16;
}

bool is_matrix(const TensorView& tensor, Dtype dtype) {
  return tensor.dtype() == dtype && tensor.shape().size() == 2;
}

/// Words of 32 bits that hold `count` values, or nullopt if that leaves 64 bits.
std::optional<std::uint64_t> words_for(std::uint64_t count, unsigned bits) {
  const auto all = base::checked_mul(count, bits);
  return all ? std::optional(divide_up(*all, 32)) : std::nullopt;
}

std::int32_t word_at(const TensorView& tensor, std::uint64_t index) {
  std::int32_t value = 0;
  std::memcpy(&value, tensor.bytes().data() + index * sizeof(value), sizeof(value));
  return value;
}

}  // namespace

Error misfit(std::string_view name, const std::string& what) {
  return base::corrupt("MG-11", "the quantized weight " + quote(name) + ": " + what);
}

Error unfollowed(std::string_view name, const std::string& what) {
  return base::unsupported("MG-6", "the quantized weight " + quote(name) + ": " + what);
}

std::optional<std::int64_t> quantization_integer(const Json* quantization, std::string_view field) {
  const auto* value = quantization == nullptr ? nullptr : quantization->find(field);
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  return number == nullptr ? std::nullopt : std::optional(*number);
}

QuantizedReader::QuantizedReader(const TensorSource& source, const Json& config)
    : source_(source),
      quantization_(quantization_of(config)),
      method_(quantization_text(quantization_, "quant_method")) {}

QuantizedWeight QuantizedReader::begin(std::string_view main, const TensorView& tensor,
                                       std::string_view plain, Quantization kind,
                                       std::string_view format) {
  used_.assign(1, std::string(main));
  QuantizedWeight weight;
  weight.name = plain;
  weight.kind = kind;
  weight.format = format;
  weight.main = main;
  weight.parts.emplace("weight", tensor);
  return weight;
}

const TensorView* QuantizedReader::take(const std::string& name, std::string_view role,
                                        QuantizedWeight& weight) {
  const auto found = source_.find(name);
  if (!found) return nullptr;
  used_.push_back(name);
  return &weight.parts.insert_or_assign(std::string(role), *found).first->second;
}

Result<const TensorView*> QuantizedReader::need(const std::string& name, std::string_view role,
                                                QuantizedWeight& weight) {
  const auto* found = take(name, role, weight);
  if (found == nullptr) {
    return misfit(weight.name, "the base has no tensor " + quote(name) + " for it");
  }
  return found;
}

QuantizedReader::Found QuantizedReader::read(std::string_view name, const TensorView& tensor) {
  const auto without = [&](std::string_view end) {
    return name.substr(0, name.size() - end.size());
  };
  const std::string own(name);
  const auto dtype = tensor.dtype();
  if (name.ends_with(".qweight") && !name.ends_with(".Wf.qweight")) {
    const auto path = without(".qweight");
    if (method_ == "gptq") return gptq(path, tensor);
    if (method_ == "awq") return awq(path, tensor);
    return std::optional<QuantizedWeight>();
  }
  if (name.ends_with("_blocks") && dtype == Dtype::kU8) {
    const auto path = without("_blocks");
    if (source_.find(std::string(path) + "_scales")) return mxfp4_experts(path, tensor);
  }
  if (name.ends_with(".weight_packed")) {
    const auto path = without(".weight_packed");
    if (dtype == Dtype::kI32) return packed_ints(path, tensor);
    return fp4_groups(name, path, tensor);
  }
  if (source_.find(own + ".absmax")) return normal_float(name, tensor);
  if (dtype == Dtype::kU8 && name.ends_with(".weight") && source_.find(own + "_scale_2")) {
    return fp4_groups(name, without(".weight"), tensor);
  }
  const bool eight = dtype == Dtype::kF8E4M3 || dtype == Dtype::kF8E5M2 || dtype == Dtype::kI8;
  if (!eight) return std::optional<QuantizedWeight>();
  if (source_.find(own + "_scale_inv")) return scaled(name, tensor, own + "_scale_inv");
  if (source_.find(own + "_scale")) return scaled(name, tensor, own + "_scale");
  if (name.ends_with(".weight") && source_.find(std::string(without("weight")) + "SCB")) {
    return int8_rows(name, tensor);
  }
  return std::optional<QuantizedWeight>();
}

QuantizedReader::Found QuantizedReader::gptq(std::string_view path, const TensorView& words) {
  const std::string at(path);
  auto weight = begin(at + ".qweight", words, at + ".weight", Quantization::kGptq, "GPTQ");
  auto layout = quantization_text(quantization_, "checkpoint_format");
  if (layout.empty()) layout = quantization_text(quantization_, "format");
  const auto bits = quantization_integer(quantization_, "bits").value_or(4);
  if (!layout.empty() && layout != "gptq" && layout != "gptq_v2") {
    return unfollowed(weight.name, "it is in the layout " + quote(layout) +
                                       ", only gptq and gptq_v2 are followed");
  }
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
    return unfollowed(weight.name,
                      "it has " + std::to_string(bits) + " bits, expected 2, 3, 4 or 8");
  }
  weight.bits = static_cast<unsigned>(bits);
  weight.zeros_less_one = layout != "gptq_v2";
  FERRULE_TRY(const auto* scales, need(at + ".scales", "scale", weight));
  FERRULE_TRY(const auto* zeros, need(at + ".qzeros", "zeros", weight));
  const auto* groups = take(at + ".g_idx", "groups", weight);
  if (!is_matrix(words, Dtype::kI32) || !is_matrix(*zeros, Dtype::kI32) ||
      scales->shape().size() != 2 || !is_number(scales->dtype())) {
    return misfit(weight.name, "expected matrices of I32 and scales of F16, BF16 or F32");
  }
  const auto out = words.shape()[1];
  const auto all = base::checked_mul(words.shape()[0], 32);
  if (!all) return misfit(weight.name, "its shape leaves 64 bits");
  auto in = *all / weight.bits;
  if (groups != nullptr) in = groups->element_count();
  const auto count = scales->shape()[0];
  if (words_for(in, weight.bits) != words.shape()[0] || scales->shape()[1] != out || count == 0 ||
      zeros->shape()[0] != count || words_for(out, weight.bits) != zeros->shape()[1]) {
    return misfit(weight.name, "qweight " + base::shape_text(words.shape()) + ", qzeros " +
                                   base::shape_text(zeros->shape()) + " and scales " +
                                   base::shape_text(scales->shape()) + " do not fit each other");
  }
  const auto size = quantization_integer(quantization_, "group_size").value_or(128);
  weight.block_rows = size > 0 ? static_cast<std::uint64_t>(size) : std::max<std::uint64_t>(in, 1);
  if (groups == nullptr && divide_up(in, weight.block_rows) > count) {
    return misfit(weight.name, "it has scales for fewer groups than rows");
  }
  if (groups != nullptr && groups->dtype() != Dtype::kI32) {
    return misfit(weight.name, "g_idx is not of dtype I32");
  }
  for (std::uint64_t i = 0; groups != nullptr && i < in; ++i) {
    const auto group = word_at(*groups, i);
    if (group < 0 || static_cast<std::uint64_t>(group) >= count) {
      return misfit(weight.name, "g_idx names a group that has no scales");
    }
  }
  weight.arithmetic = scales->dtype();
  weight.shape = {out, in};
  return std::optional(std::move(weight));
}

QuantizedReader::Found QuantizedReader::awq(std::string_view path, const TensorView& words) {
  const std::string at(path);
  auto weight = begin(at + ".qweight", words, at + ".weight", Quantization::kAwq, "AWQ");
  auto version = quantization_text(quantization_, "version");
  std::transform(version.begin(), version.end(), version.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (!version.empty() && version != "gemm") {
    return unfollowed(weight.name,
                      "it is in the layout " + quote(version) + ", only gemm is followed");
  }
  const auto bits = quantization_integer(quantization_, "bits").value_or(4);
  if (bits != 4) return unfollowed(weight.name, "AWQ of 4 bits was expected");
  weight.bits = 4;
  FERRULE_TRY(const auto* scales, need(at + ".scales", "scale", weight));
  FERRULE_TRY(const auto* zeros, need(at + ".qzeros", "zeros", weight));
  if (!is_matrix(words, Dtype::kI32) || !is_matrix(*zeros, Dtype::kI32) ||
      scales->shape().size() != 2 || !is_number(scales->dtype())) {
    return misfit(weight.name, "expected matrices of I32 and scales of F16, BF16 or F32");
  }
  const auto in = words.shape()[0];
  const auto out = base::checked_mul(words.shape()[1], 8);
  const auto count = scales->shape()[0];
  if (!out || scales->shape()[1] != *out || count == 0 || zeros->shape()[0] != count ||
      zeros->shape()[1] != words.shape()[1] || in % count != 0) {
    return misfit(weight.name, "qweight " + base::shape_text(words.shape()) + ", qzeros " +
                                   base::shape_text(zeros->shape()) + " and scales " +
                                   base::shape_text(scales->shape()) + " do not fit each other");
  }
  weight.block_rows = std::max<std::uint64_t>(in / count, 1);
  weight.arithmetic = scales->dtype();
  weight.shape = {*out, in};
  return std::optional(std::move(weight));
}

QuantizedReader::Found QuantizedReader::int8_rows(std::string_view name, const TensorView& values) {
  auto weight = begin(name, values, name, Quantization::kInt8Rows, "bitsandbytes, 8 bits");
  const std::string path(name.substr(0, name.size() - 6));
  FERRULE_TRY(const auto* rows, need(path + "SCB", "scale", weight));
  weight.shape = extents_of(values);
  if (values.dtype() != Dtype::kI8 || weight.shape.size() != 2 || rows->dtype() != Dtype::kF32 ||
      rows->element_count() != weight.shape[0]) {
    return misfit(weight.name, "expected one value of SCB in F32 for each row of a matrix of I8");
  }
  const auto* format = take(path + "weight_format", "format", weight);
  if (format != nullptr && !format->bytes().empty() && format->bytes()[0] != std::byte{0}) {
    return unfollowed(weight.name, "its rows are interleaved for a GPU (weight_format)");
  }
  return std::optional(std::move(weight));
}

QuantizedReader::Found QuantizedReader::packed_ints(std::string_view path,
                                                    const TensorView& words) {
  const std::string at(path);
  auto weight = begin(at + ".weight_packed", words, at + ".weight", Quantization::kPackedInts,
                      "compressed-tensors");
  FERRULE_TRY(const auto* scales, need(at + ".weight_scale", "scale", weight));
  FERRULE_TRY(const auto* shape, need(at + ".weight_shape", "shape", weight));
  const auto* zeros = take(at + ".weight_zero_point", "zeros", weight);
  if (source_.find(at + ".weight_g_idx")) {
    return unfollowed(weight.name, "its groups are in an order of their own (weight_g_idx)");
  }
  std::uint64_t extents[2] = {0, 0};
  if (shape->dtype() != Dtype::kI64 || shape->bytes().size() != sizeof(extents) ||
      !is_matrix(words, Dtype::kI32) || !is_number(scales->dtype())) {
    return misfit(weight.name,
                  "expected a matrix of I32, scales of numbers and a shape of two I64");
  }
  std::memcpy(extents, shape->bytes().data(), sizeof(extents));
  const auto bits = packed_bits(quantization_, words.shape()[1], extents[1]);
  weight.bits = bits;
  const auto groups = scales->shape().size() == 2 ? scales->shape()[1] : 1;
  const bool whole = scales->element_count() == 1;
  if (bits == 0 || extents[0] != words.shape()[0] ||
      words_for(extents[1], bits) != words.shape()[1] || groups == 0 || extents[1] % groups != 0 ||
      (!whole && scales->element_count() != base::checked_mul(extents[0], groups))) {
    return misfit(weight.name, "weight_packed " + base::shape_text(words.shape()) +
                                   " and weight_scale " + base::shape_text(scales->shape()) +
                                   " do not fit its shape");
  }
  if (zeros != nullptr && (!is_matrix(*zeros, Dtype::kI32) || zeros->shape()[1] != groups ||
                           whole || zeros->shape()[0] != words_for(extents[0], bits))) {
    return misfit(weight.name, "weight_zero_point does not fit it");
  }
  weight.block_rows = whole ? std::max<std::uint64_t>(extents[0], 1) : 1;
  weight.block_columns = std::max<std::uint64_t>(extents[1] / groups, 1);
  weight.arithmetic = scales->dtype();
  weight.shape = {extents[0], extents[1]};
  return std::optional(std::move(weight));
}

}  // namespace ferrule::model
