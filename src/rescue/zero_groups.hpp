// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"
#include "rescue/found.hpp"
#include "rescue/zero_files.hpp"

namespace ferrule::rescues {

/// A parameter, in the order in which the optimizer has them.
struct Parameter {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::uint64_t elements = 0;
  /// Elements that follow it in its group, to align the next.
  std::uint64_t padding = 0;
};
using ParameterGroups = std::vector<std::vector<Parameter>>;

/// `param_shapes`: the parameters of each group of the optimizer. Fails with RS-8, or with RS-6 if
/// the ranks' models have others.
Result<ParameterGroups> read_parameter_groups(const ZeroFiles& files);

/// A flat tensor of an optimizer: `elements` from `first` of the sequence that it is part of.
struct Flat {
  std::uint64_t first = 0;
  std::uint64_t elements = 0;
  Piece place;
  Dtype dtype = Dtype::kF32;
};

/// Adds to `pieces` what the sequence holds of its elements [first, first + count), which are the
/// tensor's from `at` on.
void cut(const std::vector<Flat>& sequence, std::uint64_t first, std::uint64_t count,
         std::uint64_t at, std::vector<Piece>& pieces);

}  // namespace ferrule::rescues
