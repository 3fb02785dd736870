// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/gguf/file.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/float_convert.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "io/input_file.hpp"
#include "io/mapping.hpp"

namespace ferrule::exchange::gguf {
namespace {

/// Elements written at a time: a multiple of a block.
constexpr std::uint64_t kPiece = 1 << 18;
/// Bytes written at a time if they are in the source as they are.
constexpr std::size_t kBand = std::size_t{4} << 20;

Dtype dtype_of(std::uint32_t type) {
  switch (type) {
    case format::kGgufF16:
      return Dtype::kF16;
    case format::kGgufBF16:
      return Dtype::kBF16;
    default:
      return Dtype::kF32;
  }
}

Result<void> write_values(io::OutputFile& out, const Entry& entry) {
  const auto count = entry.values.element_count();
  const auto dtype = dtype_of(entry.type);
  const bool blocks = entry.type == format::kGgufQ8_0;
  if (!blocks && dtype == entry.values.dtype()) {
    if (const auto bytes = entry.values.contiguous(); !bytes.empty()) {
      for (std::size_t at = 0; at < bytes.size(); at += kBand) {
        const auto band = bytes.subspan(at, std::min(kBand, bytes.size() - at));
        FERRULE_CHECK(out.write(band));
        io::release_pages(band);
      }
      return {};
    }
  }
  std::vector<std::byte> piece;
  std::vector<float> elements;
  for (std::uint64_t first = 0; first < count;) {
    const auto now = static_cast<std::size_t>(std::min(kPiece, count - first));
    if (blocks) {
      elements.resize(now);
      piece.resize(now / 32 * 34);
      entry.values.read(first, std::span(elements));
      quantize_q8_0(elements, piece);
    } else {
      piece.resize(now * bit_width(dtype) / 8);
      entry.values.read(first, dtype, piece);
    }
    FERRULE_CHECK(out.write(std::span<const std::byte>(piece)));
    first += now;
    if (first % Values::kReleaseAfter == 0) entry.values.release();
  }
  entry.values.release();
  return {};
}

/// numpy's rounding of gguf: halves away from zero.
float rounded(float value) {
  const float magnitude = std::fabs(value);
  const float whole = std::floor(magnitude);
  const float up = whole + std::floor(2 * (magnitude - whole));
  return value < 0 ? -up : up;
}

}  // namespace

void quantize_q8_0(std::span<const float> elements, std::span<std::byte> out) {
  for (std::size_t block = 0; block * 32 < elements.size(); ++block) {
    const auto values = elements.subspan(block * 32, 32);
    std::byte* to = out.data() + block * 34;
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::fabs(value));
    const float scale = largest / 127.0F;
    const float inverse = scale == 0 ? 0 : 1.0F / scale;
    const auto half = base::float_to_f16(scale);
    std::memcpy(to, &half, 2);
    for (std::size_t i = 0; i < 32; ++i) {
      const float scaled = rounded(values[i] * inverse);
      // NaN has no integer: the proof refuses such a file.
      const auto quant =
          static_cast<std::int8_t>(std::isfinite(scaled) ? static_cast<int>(scaled) : 0);
      to[2 + i] = static_cast<std::byte>(quant);
    }
  }
}

Values OpenedFile::values(const format::GgufTensor& tensor) const {
  Shape shape(tensor.extents.rbegin(), tensor.extents.rend());
  const auto data = bytes.subspan(static_cast<std::size_t>(tensor.offset),
                                  static_cast<std::size_t>(tensor.bytes));
  if (tensor.type == format::kGgufQ8_0) return Values::q8_0(data, std::move(shape));
  return Values::of(TensorViewAccess::unchecked(dtype_of(tensor.type), shape, data));
}

Result<OpenedFile> open_file(const std::filesystem::path& path, const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  FERRULE_TRY(auto mapped, io::Mapping::of(file, options.backing, options.threads));
  auto mapping = std::make_shared<const io::Mapping>(std::move(mapped));
  OpenedFile out;
  out.bytes = mapping->bytes();
  out.owner = std::move(mapping);
  FERRULE_TRY(out.header, format::parse_gguf(out.bytes));
  return out;
}

PlannedFile planned_file(std::vector<format::GgufKey> keys, std::vector<Entry> tensors) {
  return {.name = {},
          .write = [keys = std::move(keys),
                    tensors = std::move(tensors)](io::OutputFile& out) -> Result<void> {
            std::vector<format::GgufTensor> rows;
            for (const auto& entry : tensors) {
              format::GgufTensor row;
              row.name = entry.name;
              row.extents.assign(entry.values.shape().rbegin(), entry.values.shape().rend());
              row.type = entry.type;
              row.bytes =
                  format::gguf_bytes(entry.type, row.extents.front(), entry.values.element_count())
                      .value_or(0);
              rows.push_back(std::move(row));
            }
            FERRULE_CHECK(out.write(std::span<const std::byte>(format::encode_gguf(keys, rows))));
            for (std::size_t i = 0; i < tensors.size(); ++i) {
              FERRULE_CHECK(write_values(out, tensors[i]));
              const std::vector<std::byte> padding(static_cast<std::size_t>(
                  (format::kGgufAlignment - rows[i].bytes % format::kGgufAlignment) %
                  format::kGgufAlignment));
              FERRULE_CHECK(out.write(std::span<const std::byte>(padding)));
            }
            return {};
          }};
}

}  // namespace ferrule::exchange::gguf
