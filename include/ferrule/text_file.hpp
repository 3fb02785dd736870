// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/json.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// The content of a small file (a config, facts of a model). Never blocks: FIFOs and devices are
/// kUnsupported. Fails with kNotFound, kIo, kUnsupported or kLimitExceeded.
FERRULE_API Result<std::string> read_text_file(const std::filesystem::path& path,
                                               std::uint64_t limit = ReadLimits{}.text_bytes);

/// The file appears whole under `path` or not at all; an existing one keeps its mode.
FERRULE_API Result<void> write_text_file(const std::filesystem::path& path, std::string_view text,
                                         Durability durability = Durability::kSafe);

/// A base model's config.json: `path` itself, or the one in the directory `path`.
/// Fails with kNotFound, kIo, kUnsupported, kLimitExceeded or kCorrupt (rules CF-*).
FERRULE_API Result<Json> read_base_config(const std::filesystem::path& path);

}  // namespace ferrule
