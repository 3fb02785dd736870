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
  /// The base could not be seen: nothing speaks against it, nothing for it.
  kUnknown,
};

/// "ok", "warn", "bad" or "unknown".
FERRULE_API std::string_view verdict_name(Verdict verdict) noexcept;

struct CheckOptions {
  /// Read values as well: NaN, Inf, and B of zeros.
  bool values = false;
  /// Modules that the base lacks are warnings where at least one is found; a wrong shape stays an
  /// error.
  bool allow_partial = false;
  /// Engines that shall serve it, such as "vllm"; serving_engines() lists them.
  std::vector<std::string> engines = {};
  OpenOptions open = {};
};

/// What a check found. Whoever drops one drops the answer: the compiler warns.
class [[nodiscard]] CheckReport {
 public:
  CheckReport(std::uint64_t matched, std::uint64_t total, std::vector<Finding> findings,
              Verdict verdict)
      : findings_(std::move(findings)), matched_(matched), total_(total), verdict_(verdict) {}

  Verdict verdict() const noexcept { return verdict_; }
  /// True for kOk and kWarn.
  bool good() const noexcept { return verdict_ == Verdict::kOk || verdict_ == Verdict::kWarn; }
  /// Modules that the base has under the name as it stands, every shape right.
  std::uint64_t matched() const noexcept { return matched_; }
  /// Modules that have tensors in the file.
  std::uint64_t total() const noexcept { return total_; }
  /// Errors first. `rule` is the code (docs/rules/BS.md), `key` the module.
  const std::vector<Finding>& findings() const noexcept { return findings_; }

 private:
  std::vector<Finding> findings_;
  std::uint64_t matched_;
  std::uint64_t total_;
  Verdict verdict_;
};

/// Checks an opened adapter against a base, from headers alone unless values are asked for.
/// Fails with kInvalidArgument (an engine that is not known) and with nothing else: what is wrong
/// with the adapter is a finding.
FERRULE_API Result<CheckReport> check(const Adapter& adapter, const BaseModel& base,
                                      const CheckOptions& options = {});

/// The same, opening the adapter. One that cannot be read at all is the Error.
FERRULE_API Result<CheckReport> check(const std::filesystem::path& adapter, const BaseModel& base,
                                      const CheckOptions& options = {});

/// Checks many adapters against one base on `threads` threads (0: as many as there are cores). The
/// results stand in the order of `adapters`.
FERRULE_API std::vector<Result<CheckReport>> check(std::span<const std::filesystem::path> adapters,
                                                   const BaseModel& base,
                                                   const CheckOptions& options = {},
                                                   unsigned threads = 0);

/// An engine that serves adapters, as CheckOptions::engines takes it.
struct ServingEngine {
  std::string_view id;
  std::string_view title;
  /// The revision of its sources that the table speaks of, and its date.
  std::string_view version;
  std::string_view date;
};
FERRULE_API std::vector<ServingEngine> serving_engines();

}  // namespace ferrule
