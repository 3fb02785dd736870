// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "factor/dense_update.hpp"
#include "factor/matrix.hpp"

/// Products of a large update with a few vectors. `threads` is how many threads may work at once
/// (0: one for each core); no result depends on it.
namespace ferrule::factor {

/// `count` vectors side by side.
struct Block {
  Block() = default;
  Block(std::size_t length, std::size_t vectors)
      : rows(length), count(vectors), values(length * vectors) {}

  std::size_t rows = 0;
  std::size_t count = 0;
  std::vector<float> values;
};

/// D x, after making the values of D that are not there yet; and |D|^2 if `squared_norm` is given.
Block times(DenseUpdate& update, const Block& x, unsigned threads, double* squared_norm = nullptr);
/// D^T y, all values of D being there, as for the following.
Block transposed_times(const DenseUpdate& update, const Block& y, unsigned threads);

/// x^T y, summed in double.
Matrix cross(const Block& x, const Block& y, unsigned threads);

/// x c.
Block combined(const Block& x, const Matrix& c, unsigned threads);
/// y += x c.
void add_combined(Block& y, const Block& x, const Matrix& c, unsigned threads);

/// Makes the vectors orthonormal; those of which less than `least` remains are left out.
void orthonormalize(Block& block, double least, unsigned threads);

/// |D - left right^T|^2, element by element: a difference of squares would lose what is small.
double squared_distance(const DenseUpdate& update, const Block& left, const Block& right,
                        unsigned threads);

}  // namespace ferrule::factor
