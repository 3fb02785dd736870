// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/dialect.hpp"
#include "exchange/dialects/gguf/architecture.hpp"
#include "exchange/dialects/gguf/file.hpp"
#include "exchange/middle.hpp"

namespace ferrule::exchange::gguf {

inline constexpr const char* kAlpha = "adapter.lora.alpha";
inline constexpr const char* kEmbedding = "token_embd";

/// The adapter's modules in the names and rows of transformers, appended to `out`. Fails with
/// kCorrupt (EX-8, EX-12) or kUnsupported (EX-4, EX-5, EX-9).
Result<void> read_sites(const OpenedFile& file, const Architecture& architecture,
                        const Request& request, Middle& out);

}  // namespace ferrule::exchange::gguf
