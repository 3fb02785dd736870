// SPDX-License-Identifier: Apache-2.0
#include "exchange/values.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "io/mapping.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::exchange {
namespace {

std::uint64_t product(const Shape& shape) {
  std::uint64_t count = 1;
  for (const auto extent : shape) count *= extent;
  return count;
}

/// Row-major strides of a shape.
std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= static_cast<std::int64_t>(shape[i]);
  }
  return strides;
}

}  // namespace

/// Element i becomes the first, and then each `step_by`th.
void Values::Patch::skip(std::size_t axis, std::uint64_t i, std::uint64_t step_by) {
  if (gathers(axis)) {
    auto moved = std::make_shared<Gather>(*gather);
    moved->start += i * moved->step;
    moved->step *= step_by;
    gather = std::move(moved);
    return;
  }
  offset += at(axis, i);
  axes[axis].stride *= static_cast<std::int64_t>(step_by);
}

/// A dimension is called by another number.
void Values::Patch::move_axis(std::size_t from, std::size_t to) {
  if (!gathers(from) || from == to) return;
  auto moved = std::make_shared<Gather>(*gather);
  moved->axis = to;
  gather = std::move(moved);
}

bool Values::Patch::same_source(const Patch& other) const noexcept {
  const bool gather_alike =
      gather == other.gather || (gather && other.gather && *gather == *other.gather);
  return bytes.data() == other.bytes.data() && offset == other.offset && factor == other.factor &&
         axes == other.axes && dtype == other.dtype && encoding == other.encoding && gather_alike;
}

Values Values::whole(std::span<const std::byte> bytes, Dtype dtype, Shape shape) {
  Values out;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  Patch patch;
  patch.bytes = bytes;
  patch.dtype = dtype;
  const auto strides = strides_of(out.shape_);
  for (std::size_t i = 0; i < out.shape_.size(); ++i) {
    patch.axes[i].count = out.shape_[i];
    patch.axes[i].stride = strides[i];
  }
  out.patches_.push_back(std::move(patch));
  return out;
}

Values Values::of(const TensorView& tensor) {
  Shape shape(tensor.shape().begin(), tensor.shape().end());
  if (shape.empty()) shape = {1};
  Values out = whole(tensor.bytes(), tensor.dtype(), std::move(shape));
  const bool small = out.dtype_ == Dtype::kF8E4M3 || out.dtype_ == Dtype::kF8E5M2;
  return small ? out.as(Dtype::kF16) : out;
}

Values Values::q8_0(std::span<const std::byte> bytes, Shape shape) {
  Values out = whole(bytes, Dtype::kF32, std::move(shape));
  out.patches_.front().encoding = Encoding::kQ8_0;
  return out;
}

Values Values::zeros(Dtype dtype, Shape shape) {
  Values out;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  return out;
}

Values Values::owned(std::vector<double> elements, Shape shape, Dtype dtype) {
  auto kept = std::make_shared<const std::vector<double>>(std::move(elements));
  Values out = whole(std::as_bytes(std::span(*kept)), Dtype::kF64, std::move(shape));
  out.dtype_ = dtype;
  out.patches_.front().owner = std::move(kept);
  return out;
}

std::uint64_t Values::element_count() const noexcept { return product(shape_); }

double Values::roundoff() const noexcept {
  double out = update::unit_roundoff(dtype_);
  for (const auto& patch : patches_) {
    if (patch.encoding == Encoding::kQ8_0) return 0.01;
    // F16 beside blocks is read as F32.
    if (update::has_values(patch.dtype)) out = std::max(out, update::unit_roundoff(patch.dtype));
  }
  return out;
}

Values Values::as(Dtype dtype) const {
  Values out = *this;
  out.dtype_ = dtype;
  return out;
}

Values Values::transposed() const {
  const std::size_t order[] = {1, 0};
  return permuted(order);
}

Values Values::permuted(std::span<const std::size_t> order) const {
  Values out = *this;
  for (std::size_t i = 0; i < order.size(); ++i) out.shape_[i] = shape_[order[i]];
  for (std::size_t p = 0; p < patches_.size(); ++p) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      out.patches_[p].axes[i] = patches_[p].axes[order[i]];
      if (patches_[p].gathers(order[i])) {
        out.patches_[p].gather = patches_[p].gather;
        out.patches_[p].move_axis(order[i], i);
      }
    }
  }
  return out;
}

/// Keeps the part of the patch that is at first, first + step, ... of the dimension; false if it
/// has none there.
bool Values::cut(Patch& patch, std::size_t axis, std::uint64_t first, std::uint64_t count,
                 std::uint64_t step) {
  Axis& a = patch.axes[axis];
  const std::uint64_t every = step / std::gcd(a.step, step);
  std::uint64_t i = a.start < first ? (first - a.start + a.step - 1) / a.step : 0;
  const std::uint64_t end_of_search = i + every;
  while (i < end_of_search && i < a.count && (a.start + i * a.step - first) % step != 0) ++i;
  if (i >= end_of_search || i >= a.count) return false;
  const std::uint64_t place = (a.start + i * a.step - first) / step;
  if (place >= count) return false;
  const std::uint64_t place_step = std::max<std::uint64_t>(1, a.step * every / step);
  const std::uint64_t left = (a.count - i + every - 1) / every;
  patch.skip(axis, i, every);
  a.start = place;
  a.step = place_step;
  a.count = std::min(left, (count - place + place_step - 1) / place_step);
  return true;
}

Values Values::slice(std::size_t axis, std::uint64_t first, std::uint64_t count,
                     std::uint64_t step) const {
  Values out;
  out.dtype_ = dtype_;
  out.shape_ = shape_;
  out.shape_[axis] = count;
  for (Patch patch : patches_) {
    if (cut(patch, axis, first, count, step)) out.patches_.push_back(std::move(patch));
  }
  return out;
}

Values Values::gathered(std::size_t axis, const RowOrder& order) const {
  Values out;
  out.dtype_ = dtype_;
  out.shape_ = shape_;
  out.shape_[axis] = order->size();
  for (const Patch& patch : patches_) {
    const Axis& a = patch.axes[axis];
    const bool other = patch.gather && !patch.gathers(axis);
    if (a.start == 0 && a.step == 1 && a.count == shape_[axis] && !other) {
      Patch whole = patch;
      whole.axes[axis].count = order->size();
      RowOrder both = order;
      if (patch.gather) {
        const auto& inner = *patch.gather;
        auto joined = std::make_shared<std::vector<std::uint32_t>>();
        for (const auto i : *order) {
          joined->push_back((*inner.order)[inner.start + i * inner.step]);
        }
        both = std::move(joined);
      }
      whole.gather = std::make_shared<const Gather>(Gather{.axis = axis, .order = std::move(both)});
      out.patches_.push_back(std::move(whole));
      continue;
    }
    for (std::uint64_t i = 0; i < order->size(); ++i) {
      Patch row = patch;
      if (!cut(row, axis, (*order)[i], 1, 1)) continue;
      row.axes[axis].start = i;
      out.patches_.push_back(std::move(row));
    }
  }
  return out;
}

Values Values::reshaped(const Shape& shape) const {
  if (shape == shape_) return *this;
  Values out;
  out.dtype_ = dtype_;
  out.shape_ = shape;
  if (patches_.empty()) return out;
  if (patches_.size() == 1) {
    const Patch& patch = patches_.front();
    const auto strides = strides_of(shape_);
    bool plain = true;
    for (std::size_t i = 0; i < shape_.size(); ++i) {
      const Axis& a = patch.axes[i];
      plain = plain && a.start == 0 && a.count == shape_[i] && !patch.gather &&
              (a.count == 1 || (a.stride == strides[i] && a.step == 1));
    }
    if (plain) {
      out.patches_.push_back(patch);
      const auto fresh = strides_of(shape);
      for (std::size_t i = 0; i < kMaxDims; ++i) out.patches_.front().axes[i] = {};
      for (std::size_t i = 0; i < shape.size(); ++i) {
        out.patches_.front().axes[i].count = shape[i];
        out.patches_.front().axes[i].stride = fresh[i];
      }
      return out;
    }
  }
  return owned(all(), shape, dtype_);
}

Values Values::without_axis(std::size_t axis) const {
  Values out = *this;
  out.shape_.erase(out.shape_.begin() + static_cast<std::ptrdiff_t>(axis));
  for (auto& patch : out.patches_) {
    if (patch.gathers(axis)) {
      patch.offset += patch.at(axis, 0);
      patch.gather = nullptr;
    }
    for (std::size_t i = axis + 1; i < kMaxDims; ++i) {
      if (patch.gathers(i)) {
        patch.move_axis(i, i - 1);
        break;
      }
    }
    std::rotate(patch.axes.begin() + static_cast<std::ptrdiff_t>(axis),
                patch.axes.begin() + static_cast<std::ptrdiff_t>(axis) + 1, patch.axes.end());
    patch.axes.back() = {};
  }
  return out;
}

Values Values::scaled(double factor) const {
  if (factor == 1) return *this;
  Values out = *this;
  for (auto& patch : out.patches_) patch.factor *= factor;
  return out;
}

Values Values::padded(std::size_t axis, std::uint64_t size) const {
  Values out = *this;
  out.shape_[axis] = size;
  return out;
}

Values Values::concatenated(std::span<const Values> parts, std::size_t axis) {
  Values out;
  out.dtype_ = parts.front().dtype_;
  out.shape_ = parts.front().shape_;
  std::uint64_t at = 0;
  for (const auto& part : parts) {
    for (Patch patch : part.patches_) {
      patch.axes[axis].start += at;
      out.patches_.push_back(std::move(patch));
    }
    at += part.shape_[axis];
  }
  out.shape_[axis] = at;
  return out;
}

Values Values::stacked(std::span<const Values> parts) {
  std::vector<Values> lifted;
  lifted.reserve(parts.size());
  for (const auto& part : parts) {
    Values one = part;
    one.shape_.insert(one.shape_.begin(), 1);
    for (auto& patch : one.patches_) {
      std::rotate(patch.axes.begin(), patch.axes.end() - 1, patch.axes.end());
      patch.axes[0] = {};
      if (patch.gather) patch.move_axis(patch.gather->axis, patch.gather->axis + 1);
    }
    lifted.push_back(std::move(one));
  }
  return concatenated(lifted, 0);
}

Values Values::block_diagonal(std::span<const Values> parts) {
  Values out;
  out.dtype_ = parts.front().dtype_;
  out.shape_ = {0, 0};
  for (const auto& part : parts) {
    for (Patch patch : part.patches_) {
      patch.axes[0].start += out.shape_[0];
      patch.axes[1].start += out.shape_[1];
      out.patches_.push_back(std::move(patch));
    }
    out.shape_[0] += part.shape_[0];
    out.shape_[1] += part.shape_[1];
  }
  return out;
}

Values Values::interleaved(std::span<const Values> parts, std::size_t axis) {
  Values out;
  out.dtype_ = parts.front().dtype_;
  out.shape_ = parts.front().shape_;
  out.shape_[axis] *= parts.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    for (Patch patch : parts[i].patches_) {
      Axis& a = patch.axes[axis];
      a.start = a.start * parts.size() + i;
      a.step *= parts.size();
      out.patches_.push_back(std::move(patch));
    }
  }
  return out;
}

bool Values::is_mapped() const noexcept {
  return std::none_of(patches_.begin(), patches_.end(),
                      [](const Patch& patch) { return patch.owner != nullptr; });
}

void Values::release() const {
  for (const auto& patch : patches_) {
    if (!patch.owner) io::release_pages(patch.bytes);
  }
}

std::span<const std::byte> Values::contiguous() const noexcept {
  if (patches_.size() != 1) return {};
  const Patch& patch = patches_.front();
  if (patch.encoding != Encoding::kPlain || patch.dtype != dtype_ || patch.factor != 1) return {};
  std::int64_t stride = 1;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    const Axis& a = patch.axes[i];
    if (a.start != 0 || a.count != shape_[i] || patch.gather) return {};
    if (a.count != 1 && (a.stride != stride || a.step != 1)) return {};
    stride *= static_cast<std::int64_t>(a.count);
  }
  const std::uint64_t width = bit_width(dtype_) / 8;
  if (width == 0) return {};
  return patch.bytes.subspan(static_cast<std::size_t>(patch.offset) * width,
                             element_count() * width);
}

bool Values::same_source(const Values& other) const noexcept {
  if (shape_ != other.shape_ || patches_.size() != other.patches_.size()) return false;
  for (std::size_t i = 0; i < patches_.size(); ++i) {
    if (!patches_[i].same_source(other.patches_[i])) return false;
  }
  return true;
}

}  // namespace ferrule::exchange
