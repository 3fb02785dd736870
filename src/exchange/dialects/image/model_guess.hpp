// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "exchange/dialects/image/model_tables.hpp"
#include "exchange/dialects/image/raw_modules.hpp"

namespace ferrule::exchange {

/// A module's name without its prefix, and the size of its update.
struct NamedModule {
  std::string name;
  bool flat = false;
  std::uint64_t rows = 0;  ///< 0 if not known.
  std::uint64_t columns = 0;
  bool kronecker = false;
  /// Its prefix says that it is of a model of images.
  bool of_image = false;
};

/// Rows and columns of the update of a matrix by the sizes of its factors; 0 if they do not say.
std::pair<std::uint64_t, std::uint64_t> size_of(const RawModule& module);

/// The only model that has modules of all these names; of several in which they mean different
/// modules, the one that their sizes fit best. Null if no model has them all, or sizes do not
/// decide either. Names that no model has are not looked at.
const ImageModel* model_by_names(std::span<const NamedModule> modules);

/// The only model that has all these paths in diffusers; null if there is none, or several with
/// other names in their own code.
const ImageModel* model_by_paths(std::span<const std::string> paths);

}  // namespace ferrule::exchange
