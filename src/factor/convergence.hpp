// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

namespace ferrule::factor {

/// When the error of a growing space of vectors is near enough to the least there is, judged by its
/// gains: those of its steps become smaller about geometrically.
class Convergence {
 public:
  /// The errors after the next step's two halves. The first step of all only finds a direction.
  bool reached(double middle, double error) {
    const double first = before_ - middle;
    const double last = middle - error;
    before_ = error;
    if (steps_++ == 0 || last > kLastStep * error) return false;
    const double ratio = first > 0 ? std::clamp(last / first, 0.0, kSlowest) : 0.0;
    return last * ratio / (1 - ratio) <= kAhead * error;
  }

 private:
  // The share of the error that a larger space may still promise.
  static constexpr double kAhead = 2e-3;
  // The share by which the last step may have reduced the error.
  static constexpr double kLastStep = 1e-2;
  // How much of the last steps' gain the next one brings at least.
  static constexpr double kSlowest = 0.9;

  double before_ = 0;
  int steps_ = 0;
};

}  // namespace ferrule::factor
