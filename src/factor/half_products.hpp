// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "factor/block.hpp"
#include "factor/dense_update.hpp"
#include "factor/half_kernels.hpp"
#include "io/zeroed_floats.hpp"

namespace ferrule::factor {

/// Products of a large update with a few vectors in one pass over it, with bfloat16 factors.
struct HalfProducts {
  Block y;  ///< About D x: both factors are rounded.
  Block z;  ///< D^T y for this very y.
  double squared_norm = 0;
};

/// How exact z is. D is rounded to within 2^-17 of each element,
enum class HalfPrecision {
  kFine,   ///< and y is made of bfloat16 values, which are 2^-9 from what they were;
  kFinest  ///< and so is y.
};

/// Multiplies an update. Its elements are taken as they are needed and not kept, so that memory is
/// needed for the vectors alone. Results do not depend on the number of threads.
class HalfMultiplier {
 public:
  HalfMultiplier(const HalfKernels& kernels, const DenseUpdate& update, unsigned threads);
  HalfMultiplier(const HalfMultiplier&) = delete;
  HalfMultiplier& operator=(const HalfMultiplier&) = delete;
  ~HalfMultiplier();

  HalfProducts products(const Block& x, HalfPrecision precision);

 private:
  class Worker;

  std::unique_ptr<Worker> take_worker();
  Block added_up(std::size_t shares, std::size_t count) const;

  const HalfKernels& kernels_;
  const DenseUpdate& update_;
  unsigned threads_;
  bool is_prepared_ = false;
  // Memory that is kept from product to product: the sums of each share, and what threads need.
  io::ZeroedFloats sums_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace ferrule::factor
