// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/engine_table.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

class Adapter;

enum class NormalRank : std::uint8_t {
  kUniform,  ///< The largest of all, others filled up with zeros; no patterns.
  kKeep,     ///< Each as it is, in equal rank_pattern and alpha_pattern.
};

/// Which factor takes the strength.
enum class ScalePlace : std::uint8_t {
  kB,
  kA,
  kSplit,  ///< Half of its power of two on A, which is exact, and the rest on B.
};

struct NormalizeOptions {
  NormalRank rank = NormalRank::kUniform;
  ScalePlace scale = ScalePlace::kB;
  /// Engines that will serve it, as in CheckOptions: what they would still refuse or ignore is
  /// refused here.
  std::vector<std::string> engines = {};
  /// Used instead of the table of this release; must outlive the call.
  const EngineTable* engine_table = nullptr;
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the modules.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// What normalize() wrote.
struct [[nodiscard]] NormalizeReport {
  bool in_place = false;
  std::string weights_file;
  std::uint64_t modules = 0;
  /// The config's r.
  std::uint64_t rank = 0;
  /// Modules whose rank was filled up, and those whose strength was folded in.
  std::uint64_t padded = 0;
  std::uint64_t folded = 0;
  /// No value was rounded: the updates are equal to the bit.
  bool exact = true;
  /// The largest |update before - update after| / |update before| of a module, measured, and which
  /// one it is (empty if it is 0).
  double largest_relative_error = 0;
  std::string worst_module;
  /// Files that were copied along; empty if it was done in place.
  std::vector<std::string> copied;
  /// Warnings and notes (NM-8 to NM-10).
  std::vector<Finding> findings;
};

/// Writes a plain LoRA as one that every engine reads the same: strength 1 for every module (alpha
/// = r), no rsLoRA, no patterns. Dtypes stay; a strength that is a power of two is folded in
/// exactly, any other computed in F32 (F64 for F64) and rounded once. Other files of the directory
/// are carried along; `output` may be the directory itself, and is wholly written or as it was.
///
/// May be called from any number of threads at once; calls for one output wait for each other.
/// Fails with kUnsupported (NM-1 to NM-7, NM-10: what cannot be expressed), and as Adapter::open;
/// an adapter with errors among its findings is refused with the first of them.
FERRULE_API Result<NormalizeReport> normalize(const std::filesystem::path& directory,
                                              const std::filesystem::path& output,
                                              const NormalizeOptions& options = {});

/// The same of an adapter that is open, from anywhere; nothing else is carried along. The adapter
/// must not be that of `output`.
FERRULE_API Result<NormalizeReport> normalize(const Adapter& adapter,
                                              const std::filesystem::path& output,
                                              const NormalizeOptions& options = {});

}  // namespace ferrule
