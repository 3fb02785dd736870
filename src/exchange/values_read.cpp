// SPDX-License-Identifier: Apache-2.0
// Reading the elements of Values: each patch is walked once, by its own dimensions.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/float_convert.hpp"
#include "exchange/values.hpp"
#include "io/mapping.hpp"

namespace ferrule::exchange {
namespace {

template <typename T>
T load_as(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct FromF64 {
  using Value = double;
  static double get(const std::byte* data, std::int64_t i) noexcept {
    return load_as<double>(data + i * 8);
  }
};
struct FromF32 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    return load_as<float>(data + i * 4);
  }
};
struct FromF16 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    return base::f16_to_float(load_as<std::uint16_t>(data + i * 2));
  }
};
struct FromBF16 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    return base::bf16_to_float(load_as<std::uint16_t>(data + i * 2));
  }
};
/// The upper byte of a half.
struct FromE5M2 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    return base::f16_to_float(static_cast<std::uint16_t>(static_cast<unsigned>(data[i]) << 8));
  }
};
/// Four bits of exponent, three of mantissa, no infinities.
struct FromE4M3 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    const auto bits = static_cast<unsigned>(data[i]);
    const unsigned exponent = bits >> 3 & 15, mantissa = bits & 7;
    if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
    const float sign = (bits & 128) == 0 ? 1.F : -1.F;
    if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
    return sign * std::ldexp(static_cast<float>(8 + mantissa), static_cast<int>(exponent) - 10);
  }
};
struct FromQ8 {
  using Value = float;
  static float get(const std::byte* data, std::int64_t i) noexcept {
    const std::byte* block = data + i / 32 * 34;
    const auto quant = static_cast<std::int8_t>(block[2 + i % 32]);
    return base::f16_to_float(load_as<std::uint16_t>(block)) * static_cast<float>(quant);
  }
};

struct ToF64 {
  static void put(std::byte* out, std::uint64_t i, double v) noexcept {
    std::memcpy(out + i * 8, &v, 8);
  }
};
struct ToF32 {
  static void put(std::byte* out, std::uint64_t i, double v) noexcept {
    const auto f = static_cast<float>(v);
    std::memcpy(out + i * 4, &f, 4);
  }
};
struct ToF16 {
  static void put(std::byte* out, std::uint64_t i, double v) noexcept {
    const auto h = base::float_to_f16(static_cast<float>(v));
    std::memcpy(out + i * 2, &h, 2);
  }
};
struct ToBF16 {
  static void put(std::byte* out, std::uint64_t i, double v) noexcept {
    const auto h = base::float_to_bf16(static_cast<float>(v));
    std::memcpy(out + i * 2, &h, 2);
  }
};

/// A run of one dimension: elements at in + i * stride go to out + i * step.
struct Run {
  const std::byte* data;
  std::int64_t in;
  std::int64_t stride;
  const std::uint32_t* order;  ///< Null, or where each element is, times stride.
  std::uint64_t order_step;
  std::byte* out;
  std::uint64_t at;
  std::uint64_t step;
  std::uint64_t count;
  double factor;

  std::int64_t source(std::uint64_t i) const noexcept {
    return in + stride * static_cast<std::int64_t>(order ? order[i * order_step] : i);
  }
};

template <typename From, typename To>
void convert(const Run& run) {
  if (run.factor == 1) {
    for (std::uint64_t i = 0; i < run.count; ++i) {
      To::put(run.out, run.at + i * run.step, From::get(run.data, run.source(i)));
    }
    return;
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    To::put(run.out, run.at + i * run.step,
            static_cast<double>(From::get(run.data, run.source(i))) * run.factor);
  }
}

template <std::size_t kWidth>
void copy(const Run& run) {
  if (run.stride == 1 && run.step == 1 && run.order == nullptr) {
    std::memcpy(run.out + run.at * kWidth, run.data + run.in * std::int64_t{kWidth},
                run.count * kWidth);
    return;
  }
  for (std::uint64_t i = 0; i < run.count; ++i) {
    std::memcpy(run.out + (run.at + i * run.step) * kWidth,
                run.data + run.source(i) * std::int64_t{kWidth}, kWidth);
  }
}

using RunFunction = void (*)(const Run&);

/// Bytes that are compared at a time.
constexpr std::size_t kBand = std::size_t{4} << 20;

template <typename From>
RunFunction converter_to(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return convert<From, ToF64>;
    case Dtype::kF32:
      return convert<From, ToF32>;
    case Dtype::kF16:
      return convert<From, ToF16>;
    case Dtype::kBF16:
      return convert<From, ToBF16>;
    default:
      return nullptr;
  }
}

RunFunction copier(Dtype dtype) {
  switch (bit_width(dtype)) {
    case 8:
      return copy<1>;
    case 16:
      return copy<2>;
    case 32:
      return copy<4>;
    case 64:
      return copy<8>;
    default:
      return nullptr;
  }
}

RunFunction runner(Encoding encoding, Dtype from, Dtype to, bool multiplied) {
  if (encoding == Encoding::kQ8_0) return converter_to<FromQ8>(to);
  if (from == to && !multiplied) return copier(from);
  switch (from) {
    case Dtype::kF64:
      return converter_to<FromF64>(to);
    case Dtype::kF32:
      return converter_to<FromF32>(to);
    case Dtype::kF16:
      return converter_to<FromF16>(to);
    case Dtype::kBF16:
      return converter_to<FromBF16>(to);
    case Dtype::kF8E5M2:
      return converter_to<FromE5M2>(to);
    case Dtype::kF8E4M3:
      return converter_to<FromE4M3>(to);
    default:
      return nullptr;
  }
}

}  // namespace

/// One read: the part `first` to `end` of the elements of one patch.
struct Values::Reader {
  const Patch& patch;
  RunFunction function;
  std::span<const std::uint64_t> strides;  ///< Of the result, in elements.
  std::uint64_t first;
  std::uint64_t end;
  std::byte* out;

  /// Indices of the dimension whose elements, `extent` apart and `size` long, touch the part.
  std::pair<std::uint64_t, std::uint64_t> range(const Axis& a, std::uint64_t base,
                                                std::uint64_t stride) const {
    const std::uint64_t origin = base + a.start * stride;
    const std::uint64_t extent = a.step * stride;
    std::uint64_t low = 0;
    if (first >= origin + stride) low = (first - origin - stride) / extent + 1;
    std::uint64_t high = 0;
    if (end > origin) high = std::min(a.count, (end - origin + extent - 1) / extent);
    return {low, std::max(low, high)};
  }

  void walk(std::size_t axis, std::uint64_t base, std::int64_t source) const {
    const Axis& a = patch.axes[axis];
    const auto [low, high] = range(a, base, strides[axis]);
    if (low >= high) return;
    if (axis + 1 < strides.size()) {
      for (std::uint64_t i = low; i < high; ++i) {
        walk(axis + 1, base + (a.start + i * a.step) * strides[axis], source + patch.at(axis, i));
      }
      return;
    }
    Run run{};
    run.data = patch.bytes.data();
    run.stride = a.stride;
    run.in = source;
    if (patch.gathers(axis)) {
      const auto& gather = *patch.gather;
      run.order = gather.order->data() + gather.start + low * gather.step;
      run.order_step = gather.step;
    } else {
      run.in += a.stride * static_cast<std::int64_t>(low);
    }
    run.out = out;
    run.at = base + a.start + low * a.step - first;
    run.step = a.step;
    run.count = high - low;
    run.factor = patch.factor;
    function(run);
  }
};

void Values::read(std::uint64_t first, Dtype dtype, std::span<std::byte> out) const {
  std::fill(out.begin(), out.end(), std::byte{0});
  const std::uint64_t count = out.size() / (bit_width(dtype) / 8);
  std::vector<std::uint64_t> strides(shape_.size());
  std::uint64_t stride = 1;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape_[i];
  }
  for (const auto& patch : patches_) {
    const auto function = runner(patch.encoding, patch.dtype, dtype, patch.factor != 1);
    if (function == nullptr) continue;
    const Reader reader{patch, function, strides, first, first + count, out.data()};
    reader.walk(0, 0, patch.offset);
  }
}

void Values::read(std::uint64_t first, std::span<double> out) const {
  read(first, Dtype::kF64, std::as_writable_bytes(out));
}

void Values::read(std::uint64_t first, std::span<float> out) const {
  read(first, Dtype::kF32, std::as_writable_bytes(out));
}

std::vector<double> Values::all() const {
  std::vector<double> out(element_count());
  read(0, std::span(out));
  return out;
}

namespace {

/// same_values() of other bytes.
bool are_equal(const Values& one, const Values& other, double factor) {
  const auto mine = one.contiguous();
  const auto theirs = other.contiguous();
  if (factor == 1 && one.dtype() == other.dtype() && !mine.empty() &&
      mine.size() == theirs.size()) {
    for (std::size_t at = 0; at < mine.size(); at += kBand) {
      const auto size = std::min(kBand, mine.size() - at);
      if (std::memcmp(mine.data() + at, theirs.data() + at, size) != 0) return false;
      if (mine.size() > kBand) {
        io::release_pages(mine.subspan(at, size));
        io::release_pages(theirs.subspan(at, size));
      }
    }
    return true;
  }
  constexpr std::uint64_t kPiece = 8192;
  std::vector<double> a, b;
  const auto count = one.element_count();
  for (std::uint64_t first = 0; first < count; first += a.size()) {
    if (first != 0 && first % Values::kReleaseAfter == 0) {
      one.release();
      other.release();
    }
    a.resize(std::min(kPiece, count - first));
    b.resize(a.size());
    one.read(first, std::span(a));
    other.read(first, std::span(b));
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double theirs_scaled = b[i] * factor;
      if (a[i] != theirs_scaled && !(std::isnan(a[i]) && std::isnan(theirs_scaled))) return false;
    }
  }
  return true;
}

}  // namespace

bool Values::same_values(const Values& other, double factor) const {
  if (shape_ != other.shape_) return false;
  if (factor == 1 && same_source(other)) return true;
  const bool same = are_equal(*this, other, factor);
  // Of many small tensors, too, or they add up.
  release();
  other.release();
  return same;
}

TensorStream Values::stream(std::string name, Dtype dtype) const {
  TensorStream out;
  out.name = std::move(name);
  out.dtype = dtype;
  out.shape = shape_;
  const auto count = element_count();
  if (count == 0) return out;
  const auto plain = dtype == dtype_ ? contiguous() : std::span<const std::byte>();
  if (!plain.empty()) {
    out.read = [values = *this, plain](std::uint64_t offset,
                                       std::span<std::byte> piece) -> Result<void> {
      const auto part = plain.subspan(static_cast<std::size_t>(offset), piece.size());
      std::memcpy(piece.data(), part.data(), part.size());
      if (values.is_mapped()) io::release_pages(part);
      return {};
    };
    out.is_concurrent = true;
    return out;
  }
  out.read = [values = *this, dtype, count](std::uint64_t offset,
                                            std::span<std::byte> piece) -> Result<void> {
    const std::uint64_t width = bit_width(dtype) / 8;
    const std::uint64_t first = offset / width;
    const std::uint64_t last = (offset + piece.size() + width - 1) / width;
    if (offset % width == 0 && piece.size() % width == 0) {
      values.read(first, dtype, piece);
    } else {
      std::vector<std::byte> whole((last - first) * width);
      values.read(first, dtype, whole);
      std::memcpy(piece.data(), whole.data() + offset % width, piece.size());
    }
    if (last == count || first / kReleaseAfter != last / kReleaseAfter) values.release();
    return {};
  };
  out.is_concurrent = true;
  return out;
}

}  // namespace ferrule::exchange
