// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::exchange {

/// The modules of diffusers that one module of a model's original code became.
struct FusedModule {
  /// In the order of the rows of the original's weight.
  std::vector<std::string> paths;
  /// How many rows each has, as ratios: {1, 1, 1, 4}.
  std::vector<std::uint64_t> ratio;
  /// The two halves of the rows changed places.
  bool swapped = false;

  std::uint64_t total() const;
};

/// Which of the original's names are meant: Flux 1 and 2 share them, with other modules behind.
enum class Original : std::uint8_t { kFlux, kFlux2, kZImage };

/// The modules behind a module of the original ("double_blocks.3.img_attn.qkv").
std::optional<FusedModule> from_original(std::string_view path, Original original);

/// A module of diffusers as a part of one of the original.
struct OriginalPart {
  std::string path;
  std::size_t part = 0;
  FusedModule whole;
};
std::optional<OriginalPart> to_original(std::string_view path, Original original);

}  // namespace ferrule::exchange
