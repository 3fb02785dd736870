// SPDX-License-Identifier: Apache-2.0
#include "adapter/rewrite.hpp"

#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "adapter/carry_files.hpp"
#include "adapter/open_adapter.hpp"
#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "io/digesting_file.hpp"
#include "io/kind_at.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

const char* weights_name(WeightsFormat format) {
  return format == WeightsFormat::kBin ? kBinFile : kSafetensorsFile;
}

const char* other_weights_name(WeightsFormat format) {
  return format == WeightsFormat::kBin ? kSafetensorsFile : kBinFile;
}

/// `own`: folders that are adapters themselves, and are written as such.
Result<RewrittenFolder> write_folder(RewriteFiles& files, const FolderRewrite& folder,
                                     std::span<const std::string> own, bool in_place) {
  const auto prefix = folder.folder.empty() ? std::string() : folder.folder + "/";
  const auto* weights = weights_name(folder.format);
  const auto* other = other_weights_name(folder.format);
  std::vector<std::string_view> except = {other};
  RewrittenFolder done;
  if (folder.weights) {
    except.emplace_back(weights);
    FERRULE_TRY(done.weights_bytes, files.stream(prefix + weights, folder.weights));
  }
  if (folder.config) {
    except.emplace_back(kConfigFile);
    FERRULE_CHECK(files.text(prefix + kConfigFile, *folder.config));
  }
  if (!in_place || folder.source == nullptr || folder.source->has(other)) {
    FERRULE_CHECK(files.transaction().remove(prefix + other));
  }
  if (in_place || folder.source == nullptr) return done;
  const auto& source = *folder.source;
  FERRULE_TRY(done.copied,
              carry_files(source.reader, source.files, except, prefix, files.transaction()));
  FERRULE_TRY(auto folders,
              carry_folders(source.reader.path(),
                            folder.folder.empty() ? own : std::span<const std::string>(), prefix,
                            files.transaction()));
  std::move(folders.begin(), folders.end(), std::back_inserter(done.copied));
  return done;
}

}  // namespace

FolderRewrite safetensors_folder(const container::TensorPlan& tensors, std::string config,
                                 Metadata metadata) {
  return {.folder = {},
          .format = WeightsFormat::kSafetensors,
          .weights =
              [&tensors, metadata = std::move(metadata)](io::OutputFile& out) {
                return container::write_safetensors(out, tensors, metadata);
              },
          .config = std::move(config),
          .source = nullptr};
}

Result<void> RewriteFiles::note(const std::string& name, const io::OutputFile& file,
                                std::string sha256, std::string git_blob) {
  FERRULE_TRY(const auto identity, file.identity());
  written_.push_back({.path = output_ / name,
                      .device = identity.device,
                      .inode = identity.inode,
                      .size = identity.size,
                      .modified_ns = identity.modified_ns,
                      .sha256 = std::move(sha256),
                      .git_blob = std::move(git_blob)});
  return {};
}

Result<void> RewriteFiles::text(const std::string& name, std::string_view content) {
  if (!digests_) return transaction_.create(name, content);
  FERRULE_TRY(auto* file, transaction_.create(name));
  io::DigestingFile digested(*file);
  const auto bytes = std::as_bytes(std::span(content));
  FERRULE_CHECK(digested.write(bytes));
  auto git = io::git_blob(content.size());
  git.update(bytes);
  return note(name, *file, digested.sha256().value_or(std::string()), io::to_hex(git.finish()));
}

Result<std::uint64_t> RewriteFiles::stream(
    const std::string& name, const std::function<Result<void>(io::OutputFile&)>& write) {
  FERRULE_TRY(auto* file, transaction_.create(name));
  if (digests_) {
    io::DigestingFile digested(*file);
    FERRULE_CHECK(write(digested));
    if (auto sha256 = digested.sha256()) FERRULE_CHECK(note(name, *file, *std::move(sha256), {}));
  } else {
    FERRULE_CHECK(write(*file));
  }
  return file->bytes_written();
}

Result<void> Rewriter::finish(RewriteFiles& /*files*/,
                              std::span<const RewrittenFolder> /*folders*/) {
  return {};
}

Result<RewriteReport> rewrite(const fs::path& output, const RewriteOptions& options,
                              Rewriter& rewriter) {
  RewriteReport report;
  if (!options.source.empty()) {
    FERRULE_TRY(report.in_place, io::same_directory(options.source, output));
  }
  FERRULE_TRY(const bool wanted, rewriter.look());
  if (!wanted) return report;
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, options.durability));
  FERRULE_TRY(const bool still_wanted, rewriter.look());
  if (!still_wanted) return report;
  FERRULE_TRY(const auto folders, rewriter.make());
  RewriteFiles files(transaction, output, options.digests);
  std::vector<std::string> own;
  for (const auto& folder : folders) own.push_back(folder.folder);
  for (const auto& folder : folders) {
    FERRULE_TRY(auto done, write_folder(files, folder, own, report.in_place));
    report.folders.push_back(std::move(done));
  }
  FERRULE_CHECK(rewriter.finish(files, report.folders));
  FERRULE_CHECK(transaction.commit());
  report.written = true;
  report.files = files.take_written();
  return report;
}

}  // namespace ferrule::adapter
