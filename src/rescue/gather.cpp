// SPDX-License-Identifier: Apache-2.0
// A tensor out of its pieces. A box is a sequence of runs, each contiguous in the tensor:
//
//   tensor [4, 6], box [1..3) x [2..5)      . . . . . .
//                                           . . a b c .    run 0
//                                           . . d e f .    run 1
//                                           . . . . . .
//
// In the file the runs follow each other, so that many of them are read at once.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/float_convert.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/strided_copy.hpp"
#include "rescue/found.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {
namespace {

/// A window of the tensor's elements, and where their bytes go.
struct Wanted {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::uint64_t item = 1;
  std::span<std::byte> out;
};

Result<void> read_piece(Sources& sources, const Piece& piece, std::uint64_t at,
                        std::span<std::byte> out) {
  if (piece.record) return sources.read_record(*piece.record, at, out);
  return sources.read_at(piece.source, at, out);
}

class BoxReader {
 public:
  BoxReader(Sources& sources, const FoundTensor& tensor, const Piece& piece)
      : sources_(sources), piece_(piece) {
    const auto& shape = tensor.shape;
    steps_.assign(shape.size(), 1);
    for (std::size_t d = shape.size(); d-- > 1;) steps_[d - 1] = steps_[d] * shape[d];
    split_ = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (piece.sizes[d] != shape[d]) split_ = d;
    }
    for (std::size_t d = 0; d < shape.size(); ++d) {
      (d < split_ ? runs_ : run_) *= piece.sizes[d];
    }
  }

  Result<void> read(const Wanted& wanted) {
    if (runs_ == 0 || run_ == 0) return {};
    // The first run that ends after the start of what is wanted.
    std::uint64_t low = 0;
    std::uint64_t high = runs_;
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      if (place(middle) + run_ > wanted.first) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const auto batch = std::max<std::uint64_t>(1, kBlock / (run_ * wanted.item));
    for (std::uint64_t i = low; i < runs_ && place(i) < wanted.end;) {
      std::uint64_t count = 1;
      while (count < batch && i + count < runs_ && place(i + count) < wanted.end) ++count;
      FERRULE_CHECK(read_runs(i, count, wanted));
      i += count;
    }
    return {};
  }

 private:
  /// The first element of a run in the tensor.
  std::uint64_t place(std::uint64_t run) const {
    std::uint64_t at = steps_.empty() ? 0 : piece_.offsets[split_] * steps_[split_];
    for (std::size_t d = split_; d-- > 0;) {
      at += (piece_.offsets[d] + run % piece_.sizes[d]) * steps_[d];
      run /= piece_.sizes[d];
    }
    return at;
  }

  Result<void> read_runs(std::uint64_t first, std::uint64_t count, const Wanted& wanted) {
    if (count == 1) {
      const auto at = place(first);
      const auto from = std::max(at, wanted.first);
      const auto to = std::min(at + run_, wanted.end);
      return read_elements(
          first * run_ + (from - at),
          wanted.out.subspan(static_cast<std::size_t>((from - wanted.first) * wanted.item),
                             static_cast<std::size_t>((to - from) * wanted.item)),
          wanted.item);
    }
    std::vector<std::byte> block(static_cast<std::size_t>(count * run_ * wanted.item));
    FERRULE_CHECK(read_elements(first * run_, block, wanted.item));
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto at = place(first + i);
      const auto from = std::max(at, wanted.first);
      const auto to = std::min(at + run_, wanted.end);
      std::memcpy(wanted.out.data() + (from - wanted.first) * wanted.item,
                  block.data() + (i * run_ + (from - at)) * wanted.item, (to - from) * wanted.item);
    }
    return {};
  }

  /// Elements of the box, counted in its own row-major order.
  Result<void> read_elements(std::uint64_t first, std::span<std::byte> out, std::uint64_t item) {
    if (piece_.strides.empty()) {
      return read_piece(sources_, piece_, piece_.start + first * item, out);
    }
    return format::copy_contiguous(
        WindowSource(sources_, piece_.source, 0, sources_.size(piece_.source)),
        {.start = piece_.start,
         .item_bytes = item,
         .shape = piece_.sizes,
         .strides = piece_.strides},
        first * item, out);
  }

  Sources& sources_;
  const Piece& piece_;
  std::vector<std::uint64_t> steps_;
  std::size_t split_ = 0;
  std::uint64_t runs_ = 1;
  std::uint64_t run_ = 1;
};

Result<void> read_range(Sources& sources, const Piece& piece, const Wanted& wanted) {
  const auto from = std::max(piece.offsets[0], wanted.first);
  const auto to = std::min(piece.offsets[0] + piece.sizes[0], wanted.end);
  if (from >= to) return {};
  return read_piece(
      sources, piece, piece.start + (from - piece.offsets[0]) * wanted.item,
      wanted.out.subspan(static_cast<std::size_t>((from - wanted.first) * wanted.item),
                         static_cast<std::size_t>((to - from) * wanted.item)));
}

Result<void> read_stored(Sources& sources, const FoundTensor& tensor, const Wanted& wanted) {
  for (const auto& piece : tensor.pieces) {
    if (piece.is_range) {
      FERRULE_CHECK(read_range(sources, piece, wanted));
    } else {
      FERRULE_CHECK(BoxReader(sources, tensor, piece).read(wanted));
    }
  }
  return {};
}

/// RS-20: F32 values rounded to a type of 16 bits, as the optimizer that kept them does.
void narrow(std::span<const std::byte> from, Dtype dtype, std::span<std::byte> out) {
  for (std::size_t i = 0; i * 2 < out.size(); ++i) {
    float value = 0;
    std::memcpy(&value, from.data() + 4 * i, 4);
    const auto bits =
        dtype == Dtype::kBF16 ? base::float_to_bf16(value) : base::float_to_f16(value);
    std::memcpy(out.data() + 2 * i, &bits, 2);
  }
}

}  // namespace

Result<void> check_replicas(Sources& sources, const FoundTensor& tensor) {
  FoundTensor plain = tensor;
  plain.dtype = plain.stored;
  const std::uint64_t item = bit_width(plain.stored) / 8;
  const auto bytes = byte_size(plain.stored, plain.shape).value_or(0);
  for (const auto& replica : tensor.replicas) {
    // Only the box that the replica holds: what is outside of it stays as the pieces have it.
    FoundTensor other = plain;
    other.pieces = {replica};
    if (replica.record) FERRULE_CHECK(sources.check_record(*replica.record));
    std::vector<std::byte> a;
    std::vector<std::byte> b;
    for (std::uint64_t at = 0; at < bytes; at += a.size()) {
      a.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock / item * item, bytes - at)));
      FERRULE_CHECK(gather(sources, plain, at, a));
      b = a;
      FERRULE_CHECK(gather(sources, other, at, b));
      const auto [ours, theirs] = std::mismatch(a.begin(), a.end(), b.begin());
      if (ours == a.end()) continue;
      const auto element = (at + static_cast<std::uint64_t>(ours - a.begin())) / item;
      return base::at(
          base::corrupt("RS-15", "its copy of " + quote(tensor.name) +
                                     " is not that of the other ranks: the first difference is at "
                                     "element " +
                                     std::to_string(element) +
                                     "; was the adapter attached after the model was sharded?"),
          sources.path(replica.source).string());
    }
  }
  return {};
}

Result<void> gather(Sources& sources, const FoundTensor& tensor, std::uint64_t offset,
                    std::span<std::byte> out) {
  const std::uint64_t item = bit_width(tensor.stored) / 8;
  if (tensor.stored == tensor.dtype) {
    return read_stored(
        sources, tensor,
        {.first = offset / item, .end = (offset + out.size()) / item, .item = item, .out = out});
  }
  if (tensor.stored != Dtype::kF32 ||
      (tensor.dtype != Dtype::kBF16 && tensor.dtype != Dtype::kF16)) {
    return base::unsupported("RS-20", "tensor " + quote(tensor.name) + " cannot be rounded from " +
                                          std::string(dtype_name(tensor.stored)) + " to " +
                                          std::string(dtype_name(tensor.dtype)));
  }
  std::vector<std::byte> wide(out.size() * 2);
  FERRULE_CHECK(read_stored(
      sources, tensor,
      {.first = offset / 2, .end = (offset + out.size()) / 2, .item = item, .out = wide}));
  narrow(wide, tensor.dtype, out);
  return {};
}

}  // namespace ferrule::rescues
