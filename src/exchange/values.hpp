// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/tensor_stream.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule::exchange {

using Shape = std::vector<std::uint64_t>;

/// How elements are in memory: as a dtype, or in llama.cpp's blocks of 32.
enum class Encoding : std::uint8_t { kPlain, kQ8_0 };

/// A row order: row i of the result is row `order[i]` of what it is applied to.
using RowOrder = std::shared_ptr<const std::vector<std::uint32_t>>;

/// The elements of a tensor that is put together from parts of others: cut, transposed, stacked,
/// padded with zeros, multiplied. Nothing is computed before it is read, and nothing is ever held
/// but where each part is: a conversion of any size needs little memory.
///
/// Refers to the bytes of its tensors, which must live as long as it is read (Middle::owners).
/// Cheap to copy while it has few parts. Members do not check indices: shapes were checked before.
class Values {
 public:
  static constexpr std::size_t kMaxDims = 5;

  /// No tensor; empty() is true.
  Values() = default;
  /// The tensor as it is; at most kMaxDims dimensions. Floats of 8 bits become F16, exactly.
  static Values of(const TensorView& tensor);
  /// Blocks of 32 elements: an F16 factor and 32 signed bytes. `shape` ends in a multiple of 32.
  static Values q8_0(std::span<const std::byte> bytes, Shape shape);
  static Values zeros(Dtype dtype, Shape shape);
  /// Elements that were computed.
  static Values owned(std::vector<double> elements, Shape shape, Dtype dtype);

  bool empty() const noexcept { return shape_.empty() && patches_.empty(); }
  const Shape& shape() const noexcept { return shape_; }
  std::uint64_t dim(std::size_t axis) const noexcept { return shape_[axis]; }
  std::uint64_t element_count() const noexcept;
  /// What a file stores the elements as, if its format does not want something else.
  Dtype dtype() const noexcept { return dtype_; }

  /// The largest relative error of one rounding to what the elements are stored as: of q8_0, about
  /// that of a typical block.
  double roundoff() const noexcept;

  Values as(Dtype dtype) const;
  /// Two dimensions.
  Values transposed() const;
  /// Dimension i of the result is dimension order[i] of this.
  Values permuted(std::span<const std::size_t> order) const;
  /// Elements first, first + step, ... of one dimension.
  Values slice(std::size_t axis, std::uint64_t first, std::uint64_t count,
               std::uint64_t step = 1) const;
  Values gathered(std::size_t axis, const RowOrder& order) const;
  /// Without a dimension of extent 1.
  Values without_axis(std::size_t axis) const;
  /// The same elements in row-major order under another shape of as many elements.
  Values reshaped(const Shape& shape) const;
  Values scaled(double factor) const;
  /// Zeros at the end of one dimension.
  Values padded(std::size_t axis, std::uint64_t size) const;
  /// One after the other along a dimension; the other dimensions are equal. The dtype is the
  /// first's.
  static Values concatenated(std::span<const Values> parts, std::size_t axis);
  /// Along a new first dimension.
  static Values stacked(std::span<const Values> parts);
  /// Part i of two dimensions goes to rows and columns of its own; the rest is zero.
  static Values block_diagonal(std::span<const Values> parts);
  /// Part i is at i, i + parts, ... of the dimension.
  static Values interleaved(std::span<const Values> parts, std::size_t axis);

  /// Elements `first` to `first + out.size()` in row-major order.
  void read(std::uint64_t first, std::span<double> out) const;
  void read(std::uint64_t first, std::span<float> out) const;
  /// The same as bytes of that dtype: rounded once to nearest even if it has to be. Elements that
  /// are not floats only as they are.
  void read(std::uint64_t first, Dtype dtype, std::span<std::byte> out) const;
  std::vector<double> all() const;

  /// The bytes in row-major order if they are in memory just so, as dtype(); else empty.
  std::span<const std::byte> contiguous() const noexcept;
  /// True if both read the same bytes in the same way.
  bool same_source(const Values& other) const noexcept;
  /// True if all elements are equal: `other` times `factor`. Reads both unless they are one, in
  /// pieces whose memory is given back.
  bool same_values(const Values& other, double factor = 1) const;

  /// True if its bytes are the caller's (a file), not computed.
  bool is_mapped() const noexcept;
  /// Gives back the memory of what was read of mapped files; it is read again when needed. Who
  /// reads a large tensor does it after each kReleaseAfter elements.
  void release() const;
  static constexpr std::uint64_t kReleaseAfter = std::uint64_t{1} << 20;

  /// To be written under that name as that dtype. The memory of mapped files is given back on the
  /// way.
  TensorStream stream(std::string name, Dtype dtype) const;
  TensorStream stream(std::string name) const { return stream(std::move(name), dtype_); }

 private:
  /// Where the elements of one dimension of a patch go, and come from.
  struct Axis {
    std::uint64_t start = 0;  ///< In the result.
    std::uint64_t count = 1;
    std::uint64_t step = 1;   ///< In the result.
    std::int64_t stride = 0;  ///< In the source, in elements.

    bool operator==(const Axis&) const = default;
  };
  /// Element i of one dimension is at place order[start + i * step].
  struct Gather {
    std::size_t axis = 0;
    RowOrder order = {};
    std::uint64_t start = 0;
    std::uint64_t step = 1;

    bool operator==(const Gather&) const = default;
  };
  struct Patch {
    std::span<const std::byte> bytes = {};
    std::shared_ptr<const void> owner = {};
    Encoding encoding = Encoding::kPlain;
    Dtype dtype = Dtype::kF32;
    std::int64_t offset = 0;
    double factor = 1;
    std::array<Axis, kMaxDims> axes = {};
    std::shared_ptr<const Gather> gather = {};  ///< Of one dimension at most.

    bool gathers(std::size_t axis) const noexcept { return gather && gather->axis == axis; }
    /// Where element i of a dimension is, from the start of that dimension.
    std::int64_t at(std::size_t axis, std::uint64_t i) const noexcept {
      const std::uint64_t index =
          gathers(axis) ? (*gather->order)[gather->start + i * gather->step] : i;
      return axes[axis].stride * static_cast<std::int64_t>(index);
    }
    bool same_source(const Patch& other) const noexcept;
    void skip(std::size_t axis, std::uint64_t i, std::uint64_t step_by);
    void move_axis(std::size_t from, std::size_t to);
  };
  struct Reader;

  /// A whole tensor in row-major order.
  static Values whole(std::span<const std::byte> bytes, Dtype dtype, Shape shape);
  static bool cut(Patch& patch, std::size_t axis, std::uint64_t first, std::uint64_t count,
                  std::uint64_t step);

  Dtype dtype_ = Dtype::kF32;
  Shape shape_;
  std::vector<Patch> patches_;
};

}  // namespace ferrule::exchange
