// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

namespace checks {
class Engines;
}

/// An engine that serves adapters.
struct ServingEngine {
  std::string id;
  std::string title;
  /// The newest version, or the revision of its sources, that the table describes, and its date.
  std::string version;
  std::string date;
};

/// What serving engines do with adapters, by version: the data behind CheckOptions::engines. The
/// library has a table of its own; a newer one can be read from a file, so that it can be renewed
/// without a release (docs/check.md describes the format).
class FERRULE_API EngineTable {
 public:
  /// Fails with kNotFound, kIo, kLimitExceeded, or kCorrupt with rule BS-28.
  static Result<EngineTable> open(const std::filesystem::path& path);
  static Result<EngineTable> parse(std::string_view text);
  /// The table of this release.
  static const EngineTable& built_in();

  EngineTable(EngineTable&&) noexcept;
  EngineTable& operator=(EngineTable&&) noexcept;
  ~EngineTable();

  std::vector<ServingEngine> engines() const;
  /// Fails with kInvalidArgument unless the word is an engine of the table ("vllm"), or one at a
  /// version ("vllm@0.31").
  Result<void> check_name(std::string_view word) const;

 private:
  friend struct EngineTableAccess;
  explicit EngineTable(std::unique_ptr<const checks::Engines> engines) noexcept;
  std::unique_ptr<const checks::Engines> engines_;
};

/// The engines of the built-in table.
FERRULE_API std::vector<ServingEngine> serving_engines();

}  // namespace ferrule
