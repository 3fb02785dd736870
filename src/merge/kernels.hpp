// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "ferrule/dtype.hpp"

namespace ferrule::merging {

/// Rows of a weight to which a product of two factors is added.
struct ProductTile {
  float* w = nullptr;  ///< [rows, stride], of which `columns` from here on are changed.
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;
  const float* b = nullptr;  ///< [rows, rank].
  const float* a = nullptr;  ///< [rank, a_stride].
  std::size_t a_stride = 0;
  std::size_t rank = 0;
  float scale = 1;
  /// The product is divided by this after it was scaled, if it is not 1 (AdaLoRA).
  float divisor = 1;
  /// The product is rounded to this before it is added; kF32 for not at all.
  Dtype rounded = Dtype::kF32;
};

/// The inner loops, in the instructions of the machine at hand. Whatever they are, each element is
/// computed by the same operations in the same order, so that all machines give the same bits:
///
///   p = fma(b[rank-1], a[rank-1], ... fma(b[1], a[1], fma(b[0], a[0], 0)));  w + p * scale
///
/// which is also what torch's matmul gives for one element on a CPU.
struct Kernels {
  const char* name;
  void (*add_product)(const ProductTile& tile);
  void (*load_bf16)(const std::byte* from, float* to, std::size_t count);
  void (*load_f16)(const std::byte* from, float* to, std::size_t count);
  void (*store_bf16)(const float* from, std::byte* to, std::size_t count);
  void (*store_f16)(const float* from, std::byte* to, std::size_t count);
  /// after - before of stored floats. Asks for as many that follow, which come next.
  void (*subtract_f32)(const std::byte* before, const std::byte* after, float* to,
                       std::size_t count);
};

/// Those for this machine. FERRULE_KERNELS=plain|avx2|avx512 in the environment chooses others that
/// it can run.
const Kernels& kernels() noexcept;

/// Each set, or nullptr if this machine (or this build) cannot run it.
const Kernels* plain_kernels() noexcept;
const Kernels* avx2_kernels() noexcept;
const Kernels* avx512_kernels() noexcept;

}  // namespace ferrule::merging
