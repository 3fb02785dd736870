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

#include "adapter/adapter_folders.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/weights_format.hpp"
#include "ferrule/written_file.hpp"
#include "io/transaction/directory_transaction.hpp"

namespace ferrule::adapter {

/// What one adapter's folder holds after a rewrite.
struct FolderRewrite {
  /// Below the output; empty for the output itself.
  std::string folder;
  /// The weights file of the other format is removed: it would win on load, or mislead.
  WeightsFormat format = WeightsFormat::kSafetensors;
  /// Writes the weights file. Empty keeps that of `source`.
  std::function<Result<void>(io::OutputFile&)> weights;
  /// The text of adapter_config.json; nullopt keeps that of `source`.
  std::optional<std::string> config;
  /// Where all other files come from when the output is another directory. Not owned; null if
  /// nothing is carried along.
  const AdapterFolder* source = nullptr;
};

/// The output's own folder with these tensors as safetensors, by default with PEFT's metadata, and
/// that config. `tensors` must live until it is written.
FolderRewrite safetensors_folder(const container::TensorPlan& tensors, std::string config,
                                 Metadata metadata = {{"format", "pt"}});

/// What became of a FolderRewrite.
struct RewrittenFolder {
  std::uint64_t weights_bytes = 0;  ///< 0 if the weights were kept.
  /// Plain names of the files carried along, sorted.
  std::vector<std::string> copied;
};

/// Stages files in the transaction of a rewrite. With digests it notes what each of them holds.
class RewriteFiles {
 public:
  RewriteFiles(io::DirectoryTransaction& transaction, std::filesystem::path output, bool digests)
      : transaction_(transaction), output_(std::move(output)), digests_(digests) {}

  io::DirectoryTransaction& transaction() noexcept { return transaction_; }

  /// A file with that content. `name` is relative to the output.
  Result<void> text(const std::string& name, std::string_view content);

  /// A file of which `write` writes all; its size.
  Result<std::uint64_t> stream(const std::string& name,
                               const std::function<Result<void>(io::OutputFile&)>& write);

  /// All files staged so far, if digests were asked for.
  std::vector<WrittenFile> take_written() { return std::move(written_); }

 private:
  Result<void> note(const std::string& name, const io::OutputFile& file, std::string sha256,
                    std::string git_blob);

  io::DirectoryTransaction& transaction_;
  std::filesystem::path output_;
  bool digests_;
  std::vector<WrittenFile> written_;
};

/// The part of a rewrite that differs from command to command.
class Rewriter {
 public:
  virtual ~Rewriter() = default;

  /// Reads and checks the sources. Runs twice: before anything is locked or created, and again
  /// under the lock, for in between another saver may have replaced what was read; each run starts
  /// over. False means there is nothing to write, which is not an error.
  virtual Result<bool> look() { return true; }

  /// What to write, by the second look. Runs once, under the lock. What it hands out may refer to
  /// members of the Rewriter.
  virtual Result<std::vector<FolderRewrite>> make() = 0;

  /// After all folders were staged, in their order: files beyond theirs (a card).
  virtual Result<void> finish(RewriteFiles& files, std::span<const RewrittenFolder> folders);
};

struct RewriteOptions {
  /// The directory read from, to tell whether the output is the same one; empty if there is none.
  std::filesystem::path source = {};
  Durability durability = Durability::kSafe;
  /// Fills RewriteReport::files. Costs a hash of everything written (carried files excepted).
  bool digests = false;
};

struct RewriteReport {
  /// False if look() said so.
  bool written = false;
  /// The output is the source: nothing is carried, for it is there already.
  bool in_place = false;
  /// Parallel to what make() returned.
  std::vector<RewrittenFolder> folders;
  std::vector<WrittenFile> files;
};

/// Writes a directory of adapters, whole or not at all. Every command that makes an adapter goes
/// through here:
///
/// 1. look(), before anything is locked or created: a refusal leaves no trace.
/// 2. Lock the output against other savers.
/// 3. look() again: in place, no other saver can come in between any more.
/// 4. make(); write weights and config of every folder, remove the weights of the other format.
/// 5. Carry along the rest of each source, unless the output is the source.
/// 6. finish(), and commit.
///
/// Fails as look(), make(), finish() and io::DirectoryTransaction do; the output is then as it was.
Result<RewriteReport> rewrite(const std::filesystem::path& output, const RewriteOptions& options,
                              Rewriter& rewriter);

}  // namespace ferrule::adapter
