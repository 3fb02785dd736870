// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/engine_table.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// Whether an adapter would work on a base.
enum class Verdict : std::uint8_t {
  /// All of it would apply.
  kOk,
  /// All of it would apply (or what would not was allowed), and there is something to know.
  kWarn,
  /// Some of it would not apply, or not as it was meant.
  kBad,
  /// The base's tensors were not given, so modules could not be checked.
  kUnknown,
};

/// "ok", "warn", "bad" or "unknown".
FERRULE_API std::string_view verdict_name(Verdict verdict) noexcept;

struct CheckOptions {
  /// Read values too: NaN, Inf, and B of zeros.
  bool values = false;
  /// Modules that the base does not have are warnings if at least one is found; a wrong shape is
  /// still an error.
  bool allow_partial = false;
  /// Engines that will serve it, such as "vllm" or, at a version, "vllm@0.31";
  /// serving_engines() lists them.
  std::vector<std::string> engines = {};
  /// Used instead of the table of this release; must outlive the call.
  const EngineTable* engine_table = nullptr;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. check() of several adapters takes that many at a time; one
  /// adapter needs one.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// What a check found.
struct [[nodiscard]] CheckReport {
  Verdict verdict = Verdict::kUnknown;
  /// Modules that the base has under exactly their name, every shape right.
  std::uint64_t matched = 0;
  /// Modules that have tensors in the file.
  std::uint64_t total = 0;
  /// Errors first. `rule` is the code (docs/rules/BS.md), `key` the module.
  std::vector<Finding> findings;

  /// True for kOk and kWarn.
  bool good() const noexcept { return verdict == Verdict::kOk || verdict == Verdict::kWarn; }
};

/// Checks an opened adapter against a base, from headers only unless values are asked for.
/// May be called from any number of threads at once.
/// Fails only with kInvalidArgument (an engine that is not known): what is wrong with the adapter
/// is a finding.
FERRULE_API Result<CheckReport> check(const Adapter& adapter, const BaseModel& base,
                                      const CheckOptions& options = {});

/// The same, opening the adapter. One that cannot be read at all is the Error.
FERRULE_API Result<CheckReport> check(const std::filesystem::path& adapter, const BaseModel& base,
                                      const CheckOptions& options = {});

/// Checks many adapters against one base, CheckOptions::threads of them at a time. The results are
/// in the order of `adapters`.
FERRULE_API std::vector<Result<CheckReport>> check(std::span<const std::filesystem::path> adapters,
                                                   const BaseModel& base,
                                                   const CheckOptions& options = {});

}  // namespace ferrule
