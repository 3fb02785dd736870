// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "ferrule/text.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {
namespace {

/// Boxes that split more than the first dimension are compared in pairs.
constexpr std::size_t kMaxPairedBoxes = 4096;

Error bad(const FoundTensor& tensor, std::string what) {
  return base::corrupt("RS-4", "tensor " + quote(tensor.name) + ": " + std::move(what));
}

struct Range {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::size_t source = 0;
};

/// The piece as a range of the tensor's elements, if it is one.
std::optional<Range> as_range(const FoundTensor& tensor, const Piece& piece) {
  if (piece.is_range) return Range{piece.offsets[0], piece.sizes[0], piece.source};
  std::uint64_t row = 1;
  for (std::size_t d = 1; d < tensor.shape.size(); ++d) {
    if (piece.offsets[d] != 0 || piece.sizes[d] != tensor.shape[d]) return std::nullopt;
    row *= tensor.shape[d];
  }
  if (tensor.shape.empty()) return Range{0, 1, piece.source};
  return Range{piece.offsets[0] * row, piece.sizes[0] * row, piece.source};
}

Result<void> check_ranges(const FoundTensor& tensor, std::vector<Range> ranges, std::uint64_t total,
                          const Sources& sources) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  std::uint64_t at = 0;
  for (const auto& range : ranges) {
    if (range.first > at) {
      return bad(tensor, "no file holds its elements " + std::to_string(at) + " to " +
                             std::to_string(range.first) + " of " + std::to_string(total));
    }
    if (range.first < at) {
      return bad(tensor, "two pieces hold its element " + std::to_string(range.first) +
                             ", one of them in " +
                             quote(sources.path(range.source).filename().string()));
    }
    at += range.count;
  }
  if (at == total) return {};
  return bad(tensor, "the files hold " + std::to_string(at) + " of its " + std::to_string(total) +
                         " elements");
}

bool overlap(const Piece& a, const Piece& b) {
  for (std::size_t d = 0; d < a.offsets.size(); ++d) {
    if (a.offsets[d] >= b.offsets[d] + b.sizes[d] || b.offsets[d] >= a.offsets[d] + a.sizes[d]) {
      return false;
    }
  }
  return true;
}

Result<void> check_boxes(const FoundTensor& tensor, std::uint64_t total, const Sources& sources) {
  const auto& pieces = tensor.pieces;
  if (pieces.size() > kMaxPairedBoxes) {
    return base::over_limit("RS-13", "tensor " + quote(tensor.name) + " is in " +
                                         std::to_string(pieces.size()) + " boxes; the limit is " +
                                         std::to_string(kMaxPairedBoxes));
  }
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::uint64_t volume = 1;
    for (const auto size : pieces[i].sizes) volume *= size;
    held += volume;
    for (std::size_t j = 0; j < i; ++j) {
      if (!overlap(pieces[i], pieces[j])) continue;
      return bad(tensor, "two pieces hold the same elements, one in " +
                             quote(sources.path(pieces[i].source).filename().string()) +
                             ", one in " +
                             quote(sources.path(pieces[j].source).filename().string()));
    }
  }
  if (held == total) return {};
  return bad(tensor, "the files hold " + std::to_string(held) + " of its " + std::to_string(total) +
                         " elements");
}

/// Every piece has the tensor's rank and is inside of it.
Result<void> check_inside(const FoundTensor& tensor, std::uint64_t total) {
  for (const auto& piece : tensor.pieces) {
    const std::size_t rank = piece.is_range ? 1 : tensor.shape.size();
    if (piece.offsets.size() != rank || piece.sizes.size() != rank) {
      return bad(tensor, "a piece has another number of dimensions");
    }
    for (std::size_t d = 0; d < rank; ++d) {
      const auto end = base::checked_add(piece.offsets[d], piece.sizes[d]);
      if (!end || *end > (piece.is_range ? total : tensor.shape[d])) {
        return bad(tensor, "a piece reaches outside of it");
      }
    }
  }
  return {};
}

}  // namespace

Result<void> check_cover(const FoundTensor& tensor, const Sources& sources) {
  const auto total = element_count(tensor.shape);
  if (!total || !byte_size(tensor.dtype, tensor.shape) || bit_width(tensor.stored) % 8 != 0) {
    return bad(tensor, "its shape or dtype cannot be read");
  }
  if (auto inside = check_inside(tensor, *total); !inside) return inside;
  std::vector<Range> ranges;
  for (const auto& piece : tensor.pieces) {
    const auto range = as_range(tensor, piece);
    if (!range) return check_boxes(tensor, *total, sources);
    ranges.push_back(*range);
  }
  return check_ranges(tensor, std::move(ranges), *total, sources);
}

}  // namespace ferrule::rescues
