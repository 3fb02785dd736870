// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferrule::factor {

/// A bfloat16 matrix in tiles, each one after the other in memory. Those of a left factor are 16
/// rows of 32 elements. Those of a right factor are 32 rows of 16 columns, two rows woven into one:
/// the elements of both rows in a column are next to each other.
constexpr std::size_t kTileRows = 16;
constexpr std::size_t kTileDepth = 32;
constexpr std::size_t kTileElements = kTileRows * kTileDepth;

/// Products of two rows of tiles with two columns of tiles. Steps are counted in elements.
struct TileProduct {
  const std::uint16_t* a = nullptr;
  std::size_t a_row = 0;   ///< From a row of tiles to the next,
  std::size_t a_step = 0;  ///< and from tile to tile of a row.
  const std::uint16_t* b = nullptr;
  std::size_t b_column = 0;
  std::size_t b_step = 0;
  std::size_t count = 0;  ///< Tiles of a row of a, and of a column of b.
  float* c = nullptr;     ///< 16 x 16 for each pair, rows `c_stride` apart.
  std::size_t c_row = 0;
  std::size_t c_column = 0;
  std::size_t c_stride = 0;
  bool adds = false;  ///< c += a b rather than c = a b.
};

/// The inner loops of products with bfloat16 tiles, summed in float, in the instructions of the
/// machine at hand. Which ones decides the order of the sums: different sets differ in last bits.
struct HalfKernels {
  const char* name;
  /// Around the products of a thread.
  void (*begin)();
  void (*end)();
  void (*multiply)(const TileProduct& product);
  /// A tile, 16 rows of 32 floats, as hi + lo, to the nearest; returns the sum of all squares.
  double (*split)(const float* from, std::size_t stride, std::uint16_t* hi, std::uint16_t* lo);
  /// Two tiles of a left factor, one below the other, as two of a right factor, side by side.
  void (*weave)(const std::uint16_t* upper, const std::uint16_t* lower, std::uint16_t* left,
                std::uint16_t* right);
};

/// The fastest for this machine, or nullptr if it has no instructions for bfloat16.
/// FERRULE_KERNELS=plain|avx2|avx512 in the environment, which ask for other kernels, is without.
const HalfKernels* half_kernels() noexcept;

/// Each set, or nullptr if this machine (or this build) cannot run it. The plain ones are slow.
const HalfKernels* plain_half_kernels() noexcept;
const HalfKernels* avx512_half_kernels() noexcept;
const HalfKernels* amx_half_kernels() noexcept;

}  // namespace ferrule::factor
