// SPDX-License-Identifier: Apache-2.0
#include "merge/tensor_maker.hpp"

#include <algorithm>
#include <cstring>

#include "base/try.hpp"
#include "merge/numbers.hpp"

namespace ferrule::merging {
namespace {

/// Elements of a tile: it and what is read and written stay in a core's own cache.
constexpr std::size_t kTileElements = std::size_t{96} << 10;
constexpr std::size_t kCopiedBytes = std::size_t{2} << 20;

std::size_t rows_for(std::size_t wanted, std::size_t of_row, std::size_t rows) {
  const auto fitting = wanted / std::max<std::size_t>(of_row, 1);
  return std::clamp<std::size_t>(fitting, 1, std::max<std::size_t>(rows, 1));
}

}  // namespace

TensorMaker::TensorMaker(const OutputTensor& tensor, const WeightsFile& file, bool once)
    : tensor_(tensor), file_(file), once_(once) {
  const auto& source = *tensor.source;
  const auto shape = source.shape();
  const bool plain = tensor.plan == nullptr || tensor.plan->steps.empty();
  copies_ = plain && tensor.dtype == source.dtype() && source.quantized == nullptr;
  wide_ = once || tensor.dtype == Dtype::kF64;
  const auto elements = static_cast<std::size_t>(source.view.element_count());
  rows_ = shape.empty() ? 1 : static_cast<std::size_t>(shape[0]);
  if (rows_ == 0 || elements == 0) {
    rows_ = 0;
    return;
  }
  columns_ = elements / rows_;
  const std::size_t stored = static_cast<std::size_t>(source.bytes());
  source_row_bytes_ = stored / rows_;
  if (copies_ && source_row_bytes_ * rows_ != stored) {  // Elements of less than a byte.
    rows_ = 1;
    columns_ = elements;
    source_row_bytes_ = stored;
  }
  row_bytes_ = copies_ ? source_row_bytes_ : columns_ * (bit_width(tensor.dtype) / 8);
  tile_rows_ = copies_ ? rows_for(kCopiedBytes, source_row_bytes_, rows_)
                       : rows_for(kTileElements, columns_, rows_);
  if (plain) return;
  const auto& steps = tensor.plan->steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i]->needs_all_rows()) tile_rows_ = rows_;
    if (i > 0 && steps[i]->needs_original()) keeps_original_ = true;
  }
}

Result<void> TensorMaker::begin() {
  if (tensor_.source->quantized) dequantizer_ = Dequantizer::make(*tensor_.source->quantized);
  if (tensor_.plan == nullptr) return {};
  for (const auto& step : tensor_.plan->steps) FERRULE_CHECK(step->begin(wide_));
  return {};
}

void TensorMaker::end() {
  dequantizer_.reset();
  if (tensor_.plan == nullptr) return;
  for (const auto& step : tensor_.plan->steps) step->end();
}

template <typename T>
Result<void> TensorMaker::compute(std::size_t first_row, std::size_t count,
                                  std::span<const std::byte> from, std::span<std::byte> to) const {
  const auto elements = count * columns_;
  const auto source_dtype = tensor_.source->dtype();
  thread_local std::vector<T> values;
  values.resize(elements);
  if (dequantizer_) {
    dequantizer_->load(first_row, count, values.data());
  } else {
    load_numbers(source_dtype, from.data(), values.data(), elements);
  }
  const Rounding rounding{.dtype = tensor_.dtype, .exact = once_};
  if (source_dtype != tensor_.dtype) rounding.round(values.data(), elements);
  if (tensor_.plan != nullptr) {
    std::vector<T> original;
    if (keeps_original_) original = values;
    const Tile<T> tile{.values = values.data(),
                       .original = keeps_original_ ? original.data() : nullptr,
                       .first_row = first_row,
                       .rows = count,
                       .columns = columns_};
    const auto& steps = tensor_.plan->steps;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      FERRULE_CHECK(steps[i]->apply(tile, rounding));
      // The last rounding is that of storing.
      if (i + 1 < steps.size()) rounding.round(values.data(), elements);
      if (keeps_original_ && steps[i]->makes_original()) original = values;
    }
  }
  store_numbers(tensor_.dtype, values.data(), to.data(), elements);
  return {};
}

Result<void> TensorMaker::make(std::size_t first_row, std::size_t count,
                               std::vector<std::byte>& out) const {
  const auto& source = *tensor_.source;
  const auto start = first_row * source_row_bytes_;
  const auto size = count * source_row_bytes_;
  out.resize(count * row_bytes_);
  if (copies_) {
    if (!file_.is_torch) return file_.input.read_at(source.offset + start, std::span(out));
    std::memcpy(out.data(), source.view.bytes().data() + start, size);
    return {};
  }
  thread_local std::vector<std::byte> read;
  std::span<const std::byte> from = source.view.bytes();
  if (dequantizer_) {
    from = {};
  } else if (file_.is_torch) {
    from = from.subspan(start, size);
  } else {
    read.resize(size);
    FERRULE_CHECK(file_.input.read_at(source.offset + start, std::span(read)));
    from = read;
  }
  return wide_ ? compute<double>(first_row, count, from, out)
               : compute<float>(first_row, count, from, out);
}

}  // namespace ferrule::merging
