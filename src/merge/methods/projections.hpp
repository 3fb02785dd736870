// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "ferrule/result.hpp"
#include "merge/method.hpp"

namespace ferrule::merging {

/// Factors that all layers share, as they are in the file or as PEFT makes them from the seed again
/// when they were not saved (save_projection).
struct Projections {
  struct Part {
    std::shared_ptr<const Matrix<float>> matrix;
    float at(std::size_t i, std::size_t j) const noexcept { return matrix->at(i, j); }
  };
  Part a;
  Part b;
};

/// VeRA's and PVeRA's: A is [all, widest in], of which `rank` rows count, and B [widest out, rank].
Result<Projections> vera_projections(const Site& site, const std::string& prefix, std::size_t all,
                                     std::size_t rank);

/// RandLoRA's: A is [r, smaller], B is [larger, bases * r].
Result<Projections> randlora_projections(const Site& site, std::size_t r, std::size_t bases);

}  // namespace ferrule::merging
