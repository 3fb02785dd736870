// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "regex/pattern.hpp"

namespace ferrule::peft {

/// The paths that PEFT asks its patterns about for the layer at `module_path`, which may be another
/// one than where its tensors are; several where the file does not tell which of them it is.
std::vector<std::string> pattern_paths(const AdapterConfig& config, std::string_view module_path);

/// resolve_strength made ready to be asked about many modules: every pattern is compiled once.
class StrengthResolver {
 public:
  /// Fails with kCorrupt (CF-20) or kUnsupported (CF-21) on a pattern.
  static Result<StrengthResolver> compile(const AdapterConfig& config);

  /// As ferrule::resolve_strength.
  Result<ModuleStrength> resolve(std::string_view module_path) const;

 private:
  struct Entry {
    std::string text;
    regex::Pattern pattern;
    double value;
  };
  struct Table {
    std::string_view name;
    bool search = false;  ///< re.search for the pattern alone, as OSF does.
    std::vector<Entry> entries;
  };
  struct Resolved {
    std::optional<double> value;
    std::string how;
  };

  /// As PEFT resolves a layer at exactly that path.
  Result<ModuleStrength> resolve_at(std::string_view module_path) const;

  explicit StrengthResolver(const AdapterConfig& config) : config_(config) {}
  static Result<Table> compile_table(std::string_view name, bool search,
                                     const PatternTable& patterns);
  Result<Resolved> look_up(const Table& table, std::optional<double> fallback,
                           std::string_view module_path) const;
  ModuleStrength apply(std::optional<double> rank, std::optional<double> alpha) const;

  AdapterConfig config_;
  std::optional<Table> ranks_;
  std::optional<Table> alphas_;
  /// If no pattern tells modules apart.
  std::optional<ModuleStrength> everywhere_;
};

/// Every expression of the config that cannot be used: CF-20 (invalid in Python too) as errors,
/// CF-21 (valid Python that Ferrule cannot run) as warnings.
std::vector<Finding> pattern_findings(const AdapterConfig& config);

}  // namespace ferrule::peft
