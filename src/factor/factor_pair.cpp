// SPDX-License-Identifier: Apache-2.0
#include "factor/factor_pair.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/float_convert.hpp"
#include "base/tensor_view_access.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

template <typename Stored, typename Convert>
void write_as(std::span<const double> values, std::byte* out, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Stored stored = convert(values[i]);
    std::memcpy(out + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

std::uint64_t not_finite(const TensorView& tensor) {
  std::uint64_t count = 0;
  std::vector<double> values;
  constexpr std::size_t kStretch = 4096;
  const auto elements = static_cast<std::size_t>(tensor.element_count());
  for (std::size_t first = 0; first < elements; first += kStretch) {
    values.resize(std::min(kStretch, elements - first));
    update::read_values(tensor, first, values);
    if (update::all_finite(values)) continue;
    for (const double value : values) count += std::isfinite(value) ? 0U : 1U;
  }
  return count;
}

}  // namespace

void write_values(Dtype dtype, std::span<const double> values, std::byte* out) noexcept {
  switch (dtype) {
    case Dtype::kF64:
      return write_as<double>(values, out, [](double value) { return value; });
    case Dtype::kBF16:
      return write_as<std::uint16_t>(
          values, out, [](double value) { return base::float_to_bf16(static_cast<float>(value)); });
    case Dtype::kF16:
      return write_as<std::uint16_t>(
          values, out, [](double value) { return base::float_to_f16(static_cast<float>(value)); });
    default:
      return write_as<float>(values, out, [](double value) { return static_cast<float>(value); });
  }
}

FactorLayout FactorLayout::of(const AdapterModule& module, const update::LowRankUpdate& update) {
  const auto& a = update.a->tensor.shape();
  const auto& b = update.b->tensor.shape();
  const auto& block = update.blocks.front();
  return {.path = std::string(module.path()),
          .is_embedding = update.a->role == "lora_embedding_A",
          .is_experts = block.b.vector_stride > 1,
          .parts = update.blocks.size(),
          .in = block.a.length,
          .out = block.b.length,
          .a_tail = {a.begin() + 1, a.end()},
          .b_tail = {b.begin() + 2, b.end()}};
}

FactorLayout FactorLayout::of_weight(std::string path, std::span<const std::uint64_t> shape,
                                     bool transposed) {
  FactorLayout layout{.path = std::move(path), .a_tail = {}, .b_tail = {}};
  const auto extent = [&](std::size_t axis) { return static_cast<std::size_t>(shape[axis]); };
  layout.out = extent(transposed ? 1 : 0);
  layout.in = transposed ? extent(0) : 1;
  for (std::size_t axis = 1; !transposed && axis < shape.size(); ++axis) {
    layout.in *= extent(axis);
    layout.a_tail.push_back(shape[axis]);
    if (axis > 1) layout.b_tail.push_back(1);
  }
  if (transposed) layout.a_tail.push_back(shape[0]);
  return layout;
}

std::string FactorLayout::a_key() const {
  return "base_model.model." + path + (is_embedding ? ".lora_embedding_A" : ".lora_A.weight");
}

std::string FactorLayout::b_key() const {
  return "base_model.model." + path + (is_embedding ? ".lora_embedding_B" : ".lora_B.weight");
}

std::uint64_t FactorLayout::parameters_of_a_rank() const noexcept {
  return std::uint64_t{parts} * (in + out);
}

FactorPair::FactorPair(const FactorLayout& layout, std::size_t rank, Dtype dtype)
    : layout_(layout),
      rank_(rank),
      dtype_(dtype),
      element_(bit_width(dtype) / 8),
      a_elements_{std::uint64_t{layout.parts} * rank * layout.in},
      b_elements_{std::uint64_t{layout.parts} * rank * layout.out},
      a_(std::make_shared<std::vector<std::byte>>(layout.parts * rank * layout.in * element_)),
      b_(std::make_shared<std::vector<std::byte>>(layout.parts * rank * layout.out * element_)) {}

void FactorPair::put_a(std::size_t part, std::size_t vector, std::size_t first,
                       std::span<const double> values) {
  const auto at = (part * rank_ + vector) * layout_.in + first;
  write_values(dtype_, values, a_->data() + at * element_);
}

void FactorPair::put_b(std::size_t part, std::size_t row, std::size_t first,
                       std::span<const double> values) {
  if (!layout_.is_experts) {
    const auto at = (part * layout_.out + row) * rank_ + first;
    return write_values(dtype_, values, b_->data() + at * element_);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = (row * rank_ + first + i) * layout_.parts + part;
    write_values(dtype_, values.subspan(i, 1), b_->data() + at * element_);
  }
}

void FactorPair::set_all(std::span<const float> a, std::span<const float> b) {
  const std::vector<double> a_values(a.begin(), a.end());
  const std::vector<double> b_values(b.begin(), b.end());
  write_values(dtype_, a_values, a_->data());
  write_values(dtype_, b_values, b_->data());
}

std::vector<std::uint64_t> FactorPair::a_shape() const {
  std::vector<std::uint64_t> shape = {layout_.parts * rank_};
  shape.insert(shape.end(), layout_.a_tail.begin(), layout_.a_tail.end());
  return shape;
}

std::vector<std::uint64_t> FactorPair::b_shape() const {
  const bool experts = layout_.is_experts;
  std::vector<std::uint64_t> shape = {experts ? layout_.out : layout_.parts * layout_.out,
                                      experts ? layout_.parts * rank_ : rank_};
  shape.insert(shape.end(), layout_.b_tail.begin(), layout_.b_tail.end());
  return shape;
}

TensorStream FactorPair::stream(std::string key,
                                const std::shared_ptr<std::vector<std::byte>>& bytes,
                                std::vector<std::uint64_t> shape) const {
  return {.name = std::move(key),
          .dtype = dtype_,
          .shape = std::move(shape),
          .bytes = *bytes,
          .owner = bytes,
          .read = {}};
}

TensorStream FactorPair::a() const { return stream(layout_.a_key(), a_, a_shape()); }
TensorStream FactorPair::b() const { return stream(layout_.b_key(), b_, b_shape()); }

std::uint64_t FactorPair::overflowed() const {
  return not_finite(TensorViewAccess::unchecked(dtype_, a_elements_, *a_)) +
         not_finite(TensorViewAccess::unchecked(dtype_, b_elements_, *b_));
}

update::VectorSet FactorPair::a_vectors(std::size_t part) const {
  return {.tensor = TensorViewAccess::unchecked(dtype_, a_elements_, *a_),
          .count = rank_,
          .length = layout_.in,
          .first = part * rank_ * layout_.in,
          .vector_stride = layout_.in,
          .element_stride = 1};
}

update::VectorSet FactorPair::b_vectors(std::size_t part) const {
  const bool experts = layout_.is_experts;
  return {.tensor = TensorViewAccess::unchecked(dtype_, b_elements_, *b_),
          .count = rank_,
          .length = layout_.out,
          .first = experts ? part : part * layout_.out * rank_,
          .vector_stride = experts ? layout_.parts : 1,
          .element_stride = experts ? layout_.parts * rank_ : rank_};
}

}  // namespace ferrule::factor
