// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How to add a dialect
/// ====================
///
/// 1. One file `dialects/NAME.cpp` (a folder `dialects/NAME/` if it needs more than 400 lines) with
/// a
///    class derived from Dialect, and one line in registry.cpp. Nothing else changes.
/// 2. `read()` turns the files into a Middle: names of Hugging Face, PEFT's orientation, THE scale.
///    Use Values (values.hpp) to cut, transpose and join: nothing is computed, memory stays small.
///    Every tensor ends up in a site, in an extra, in `ignored`, or the file is refused by name. A
///    strength that neither the file nor the dialect nor `--config` gives is a refusal (EX-6),
///    never a guess. Names flattened with underscores need Request::base (EX-4).
/// 3. `carries()` is the table of what a file of the dialect can hold. The engine refuses or drops
///    (--drop) what it cannot hold BEFORE write() is called, so write() sees only what fits.
/// 4. `write()` makes a plan of files; the engine writes them beside the output, reads them back
/// with
///    read(), compares every update (proof.hpp), and only then puts them in place. write() says
///    what it renamed, folded and rounded through Ledger. A scale that the format has no place for
///    goes through fold() (fold.hpp).
/// 5. `detect()` looks at Look, which the one recognizer (peft/dialect.hpp, file_kind.hpp) filled
/// in.
///    A new spelling is recognized there, so that every command names it.
/// 6. Tests let the real program write what we read, and read what we write (tests/exchange).
///    docs/convert.md has a table for it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/ledger.hpp"
#include "exchange/look.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_stream.hpp"
#include "io/output_file.hpp"

namespace ferrule::exchange {

/// Where a dialect keeps strengths.
enum class ScalePlace : std::uint8_t {
  kNone,       ///< Nowhere: all of it is folded into the factors.
  kFileAlpha,  ///< One alpha a file, divided by each tensor's rank.
  kFileScale,  ///< One factor and one rank a file.
  kSite,       ///< One a site.
};

/// What the files of a dialect can hold. docs/convert.md shows the same.
struct Carries {
  ScalePlace scale = ScalePlace::kNone;
  bool dora = false;
  bool bias = false;  ///< lora_B.bias
  bool conv = false;
  bool mid = false;  ///< A Tucker core.
  bool embeddings = false;
  bool components = false;  ///< More than one model: an image pipeline.
  bool plain_model = true;  ///< A single model without components.
  /// Roles of Extra.
  std::set<std::string, std::less<>> extras = {};
  /// Methods besides LORA.
  std::set<std::string, std::less<>> methods = {};
  bool invocation_tokens = false;  ///< aLoRA
  bool changed_base = false;       ///< Says that the base was changed (PEFT's init_lora_weights).
};

/// What the caller asked for, and what is known about the base.
struct Request {
  BaseFacts base = {};
  /// --config: a file with the strength or names, in the dialect's own form.
  std::optional<std::filesystem::path> config = {};
  /// --key: the key of a torch file under which the state dict is.
  std::string key = {};
  /// --dtype; "" keeps what is there.
  std::string dtype = {};
  /// --arch: what the model is called if no base says it ("flux", "sdxl", "llama").
  std::string arch = {};
  /// When an output is read back: the paths that were written, by component. Flattened names mean
  /// these.
  std::map<std::string, std::set<std::string>, std::less<>> known = {};
  OpenOptions open = {};
};

/// One file of a plan.
struct PlannedFile {
  /// Below the output; empty if the output is this file.
  std::string name;
  std::function<Result<void>(io::OutputFile&)> write;
};

/// The files to write. They may refer to the Middle, which lives longer.
struct Plan {
  std::vector<PlannedFile> files;
  /// Names that must not be left over from before if the output is an existing folder.
  std::vector<std::string> stale = {};
  /// Sites that read() gives another name than they had (a spelling of another release), by name.
  std::map<std::string, std::string> renamed_sites = {};
};

/// A safetensors file in the bytes of safetensors' own writer.
PlannedFile safetensors_file(std::string name, std::vector<TensorStream> tensors,
                             Metadata metadata = {});
/// A torch.save file: of the state dict, or of {key: state dict}.
PlannedFile torch_file(std::string name, std::vector<TensorStream> tensors, std::string key = {});
PlannedFile text_file(std::string name, std::string text);

class Dialect {
 public:
  virtual ~Dialect() = default;

  /// As --to and --from have it.
  virtual std::string_view name() const = 0;
  /// For messages: "an adapter of mlx-lm".
  virtual std::string_view what() const = 0;
  /// The output is one file, not a folder.
  virtual bool is_file() const { return false; }
  virtual bool writes() const { return true; }
  virtual const Carries& carries() const = 0;

  /// True if what was looked at is of this dialect, by content.
  virtual bool detect(const Look& look) const = 0;
  virtual Result<Middle> read(const Look& look, const Request& request) const = 0;
  /// Sites that the target only has in another form take that form, with the same update. After
  /// the limits, before write().
  virtual Result<void> prepare(Middle& middle, const Request& request, Ledger& ledger) const;
  /// The sites fit carries().
  virtual Result<Plan> write(const Middle& middle, const Request& request,
                             Ledger& ledger) const = 0;
};

/// All dialects, in the order in which they are asked.
std::span<const Dialect* const> all_dialects();
/// By name; null if there is none.
const Dialect* find_dialect(std::string_view name);
/// The one that the source is of. Fails with kUnsupported: EX-1 (none), EX-2 (several).
Result<const Dialect*> dialect_of(const Look& look);

}  // namespace ferrule::exchange
