// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

/// One adapted module and the factor on its update.
struct ExplainedModule {
  /// The path on disk, without `base_model.model.`.
  std::string path;
  /// As resolve_strength, with what the method keeps in tensors (DeLoRA's trained lambda) read.
  ModuleStrength resolved;
};

/// An entry of rank_pattern or alpha_pattern, and how many modules it decides.
struct PatternUse {
  std::string_view field;
  std::string pattern;
  double value = 0;
  /// 0: no module matches it, or an earlier entry wins wherever it does.
  std::uint64_t modules = 0;
};

/// What explain() found.
struct [[nodiscard]] StrengthReport {
  /// Sorted by path.
  std::vector<ExplainedModule> modules;
  /// In the order of the file, counted over all modules whatever the filter.
  std::vector<PatternUse> patterns;
};

/// The effective strength of every module that has tensors of the adapter's method, and where it
/// comes from. `module_glob` keeps those whose path, or its part after a dot, matches: `*` is any
/// text, `?` any character; empty keeps all. Views in the report are static.
/// May be called from any number of threads at once.
FERRULE_API StrengthReport explain(const Adapter& adapter, std::string_view module_glob = {});

}  // namespace ferrule
