// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/json.hpp"
#include "ferrule/normalize.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// A conversion from one program's adapters to another's.
struct ExchangeOptions {
  /// The dialect to write: one of exchange_dialects().
  std::string to = {};
  /// The dialect of the source; empty finds it by content.
  std::string from = {};
  /// The base: a folder with config.json (weights are not needed), a config.json, or the folder of
  /// a diffusers pipeline. Needed if names or rows depend on the model.
  std::optional<std::filesystem::path> base = {};
  /// A file of the source's program that holds the strength or the names, if they are not in SRC.
  std::optional<std::filesystem::path> config = {};
  /// "f32", "f16", "bf16" or "q8_0" (GGUF only); empty keeps the dtype of the source as far as the
  /// target has it.
  std::string dtype = {};
  /// The model's architecture if no base says it.
  std::string arch = {};
  /// Losses that are allowed, by their words: "modules_to_save", "dora", "bias" ....
  std::vector<std::string> drop = {};
  Durability durability = Durability::kSafe;
  OpenOptions open = {};
};

/// Another name for the same tensor.
struct ExchangeRename {
  std::string from;
  std::string to;
};

/// A strength that went into the factors, because the target has no place for it.
struct ExchangeFold {
  std::string site;
  double factor = 1;
  /// A power of two: no bit was lost.
  bool exact = true;
};

struct ExchangeRounding {
  std::string key;
  std::string dtype;
};

/// What convert() did.
struct [[nodiscard]] ExchangeReport {
  std::string from;
  std::string to;
  std::filesystem::path output;
  std::uint64_t sites = 0;
  std::vector<std::string> kept;
  std::vector<ExchangeRename> renamed;
  std::vector<ExchangeFold> folded;
  std::vector<ExchangeRounding> rounded;
  /// Keys of the source that are not in the output. Empty unless ExchangeOptions::drop allows it.
  std::vector<std::string> dropped;
  std::vector<std::string> notes;
  /// The largest relative error of any site's update, |after - before| / |before|, measured on the
  /// output that was read back; and its site.
  double largest_error = 0;
  std::string largest_error_site;
};

/// Writes the adapter at `source` in another program's form, which it finds out of the content. The
/// output (a file or a folder, by the dialect) appears whole or not at all, and only after it was
/// read back and every update was compared with the source's. Nothing is lost silently: what the
/// target cannot hold is refused unless options.drop names it. See docs/convert.md.
///
/// Fails with kNotFound, kCorrupt, kUnsupported, kLimitExceeded, kInvalidArgument or kIo (rules
/// EX-*, and those of the files). May be called from any number of threads at once.
FERRULE_API Result<ExchangeReport> convert(const std::filesystem::path& source,
                                           const std::filesystem::path& output,
                                           const ExchangeOptions& options);

/// The adapter at `path`, whatever its dialect, as one of PEFT: for inspect(), check(), explain(),
/// diff() and content_id(), which then hold for the adapter that convert() to "peft" writes. A PEFT
/// folder is opened as Adapter::open() does; of others, tensors that PEFT has in another order are
/// made in memory. Of `options`, `from`, `base`, `config`, `arch` and `open` are looked at.
/// Fails as convert() does, and with kUnsupported for an adapter of several models (an image
/// pipeline), which is one folder of PEFT for each.
FERRULE_API Result<Adapter> open_any(const std::filesystem::path& path,
                                     const ExchangeOptions& options = {});

/// The dialect of what is at the path ("gguf", "mlx"), found by its content; empty if it is of
/// none, of several, or cannot be read.
FERRULE_API std::string dialect_at(const std::filesystem::path& path,
                                   const OpenOptions& options = {});

/// normalize() of an adapter of any dialect: of one that is not PEFT's, what open_any() makes of
/// it with `foreign`. `output` is then another directory, and nothing is carried along.
/// Fails as normalize() and open_any() do.
FERRULE_API Result<NormalizeReport> normalize_any(const std::filesystem::path& path,
                                                  const std::filesystem::path& output,
                                                  const NormalizeOptions& options = {},
                                                  const ExchangeOptions& foreign = {});

/// A dialect, for help texts.
struct ExchangeDialect {
  std::string_view name;
  std::string_view what;
  bool writes = true;
};
FERRULE_API std::vector<ExchangeDialect> exchange_dialects();

/// The report as `convert --json` prints it.
FERRULE_API Json to_json(const ExchangeReport& report);

}  // namespace ferrule
