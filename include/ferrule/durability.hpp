// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ferrule {

/// How much a save waits for the disk. In every mode a crash of the *process* leaves the old files
/// whole or the new ones.
enum class Durability : std::uint8_t {
  /// Nothing is flushed: after a loss of power the new files may be empty or torn. For scratch
  /// space and for file systems that vanish with the machine anyway.
  kFast,
  /// Data and names are flushed before they are published: after a loss of power the directory is
  /// wholly the old or wholly the new one. Which of the two is not promised.
  kSafe,
  /// As kSafe, and the new one is on disk when the call returns.
  kFull,
};

}  // namespace ferrule
