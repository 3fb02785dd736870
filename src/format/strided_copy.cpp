// SPDX-License-Identifier: Apache-2.0
#include "format/strided_copy.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/try.hpp"

namespace ferrule::format {
namespace {

/// Bytes of the source that one read may take.
constexpr std::uint64_t kRunBytes = 256 * 1024;
/// Elements further apart than this are read one by one.
constexpr std::uint64_t kMaxGap = 64;

/// Copies boxes: parts of a tensor where dimensions before `axis` have one index, `axis` has
/// `count`, and those after it are whole.
class BoxCopier {
 public:
  BoxCopier(const ByteSource& source, const StridedTensor& tensor)
      : source_(source), tensor_(tensor) {
    const std::size_t rank = tensor.shape.size();
    inner_.assign(rank, 1);
    for (std::size_t i = rank; i-- > 1;) inner_[i - 1] = inner_[i] * tensor.shape[i];
  }

  Result<void> copy(std::uint64_t first, std::uint64_t last, std::byte* out) {
    while (first < last) {
      const std::size_t rank = tensor_.shape.size();
      if (rank == 0) return source_.read_at(tensor_.start, {out, tensor_.item_bytes});
      std::size_t axis = 0;
      while (axis + 1 < rank && (first % inner_[axis] != 0 || inner_[axis] > last - first)) ++axis;
      std::uint64_t origin = 0;
      std::uint64_t rest = first;
      std::uint64_t index = 0;
      for (std::size_t i = 0; i <= axis; ++i) {
        index = rest / inner_[i];
        rest %= inner_[i];
        origin += index * tensor_.strides[i];
      }
      const std::uint64_t count =
          std::min((last - first) / inner_[axis], tensor_.shape[axis] - index);
      FERRULE_CHECK(copy_box(axis, count, origin, out));
      first += count * inner_[axis];
      out += count * inner_[axis] * tensor_.item_bytes;
    }
    return {};
  }

 private:
  struct Axis {
    std::uint64_t extent;
    std::uint64_t stride;  ///< In the source, elements.
    std::uint64_t target;  ///< In the output, elements.
  };

  Result<void> copy_box(std::size_t axis, std::uint64_t count, std::uint64_t origin,
                        std::byte* out) {
    std::vector<Axis> axes;
    for (std::size_t i = axis; i < tensor_.shape.size(); ++i) {
      const std::uint64_t extent = i == axis ? count : tensor_.shape[i];
      if (extent != 1) axes.push_back({extent, tensor_.strides[i], inner_[i]});
    }
    if (axes.empty()) axes.push_back({1, 1, 1});
    // Along the smallest stride the source is read in runs.
    auto run = std::min_element(axes.begin(), axes.end(),
                                [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
    const Axis along = *run;
    axes.erase(run);
    std::vector<std::uint64_t> index(axes.size(), 0);
    while (true) {
      std::uint64_t from = origin;
      std::uint64_t to = 0;
      for (std::size_t i = 0; i < axes.size(); ++i) {
        from += index[i] * axes[i].stride;
        to += index[i] * axes[i].target;
      }
      FERRULE_CHECK(copy_run(along, from, out + to * tensor_.item_bytes));
      std::size_t i = axes.size();
      while (i > 0 && ++index[i - 1] == axes[i - 1].extent) index[--i] = 0;
      if (i == 0) return {};
    }
  }

  Result<void> copy_run(const Axis& along, std::uint64_t from, std::byte* out) {
    const std::uint64_t item = tensor_.item_bytes;
    if (along.stride == 1 && along.target == 1) {
      return source_.read_at(tensor_.start + from * item, {out, along.extent * item});
    }
    const std::uint64_t step = along.stride > kMaxGap ? 1
                               : along.stride == 0
                                   ? along.extent
                                   : std::max<std::uint64_t>(1, kRunBytes / item / along.stride);
    for (std::uint64_t done = 0; done < along.extent; done += step) {
      const std::uint64_t count = std::min(step, along.extent - done);
      const std::uint64_t span = ((count - 1) * along.stride + 1) * item;
      if (buffer_.size() < span) buffer_.resize(span);
      FERRULE_CHECK(source_.read_at(tensor_.start + (from + done * along.stride) * item,
                                    std::span(buffer_).first(span)));
      for (std::uint64_t i = 0; i < count; ++i) {
        std::memcpy(out + (done + i) * along.target * item,
                    buffer_.data() + i * along.stride * item, item);
      }
    }
    return {};
  }

  const ByteSource& source_;
  const StridedTensor& tensor_;
  std::vector<std::uint64_t> inner_;  ///< Elements of one index of each dimension.
  std::vector<std::byte> buffer_;
};

}  // namespace

Result<void> copy_contiguous(const ByteSource& source, const StridedTensor& tensor,
                             std::uint64_t offset, std::span<std::byte> out) {
  if (out.empty()) return {};
  return BoxCopier(source, tensor)
      .copy(offset / tensor.item_bytes, (offset + out.size()) / tensor.item_bytes, out.data());
}

}  // namespace ferrule::format
