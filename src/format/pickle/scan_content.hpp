// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ferrule/read_limits.hpp"
#include "format/pickle/pickle_globals.hpp"

namespace ferrule::format {

/// Something in a pickle that would run code if it were unpickled.
struct ContentHit {
  /// Entries of archives on the way to it, with '!' between them; empty in a bare pickle.
  std::string entry;
  /// Of the opcode, in the entry or file.
  std::uint64_t offset = 0;
  std::string opcode;
  std::string global;
  std::string why;
  GlobalThreat threat = GlobalThreat::kUnknown;
};

/// A part that could not be read to its end, so what it would run is not known.
struct ContentGap {
  std::string entry;
  std::string rule;
  std::string message;
};

struct ContentScan {
  /// Those that were read to their end.
  std::uint64_t pickles = 0;
  /// True if the content is of a kind that is looked into: a pickle, an archive, an array, or a
  /// format that can hold none.
  bool examined = false;
  std::vector<ContentHit> hits;
  std::vector<ContentGap> gaps;
};

/// Finds every pickle in the bytes of a file: bare ones and several in a row, those in entries of
/// zip archives whatever their names, in archives inside archives to a depth of three, after the
/// header of a numpy array of objects. The content alone decides.
ContentScan scan_content(std::span<const std::byte> bytes, const ReadLimits& limits);

}  // namespace ferrule::format
