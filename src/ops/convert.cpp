// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "adapter/open_adapter.hpp"
#include "base/quote.hpp"
#include "base/try.hpp"
#include "file/weights_stream.hpp"
#include "io/directory_transaction.hpp"
#include "io/input_file.hpp"
#include "io/walk.hpp"
#include "ops/carry_files.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeights[] = {kSafetensorsFile, kBinFile};

/// One directory that holds an adapter.
struct Source {
  std::string folder;
  io::DirectoryReader reader;
  std::vector<std::string> files;
};

Error lacks(const fs::path& directory, const char* rule, std::string message) {
  return {.code = ErrorCode::kCorrupt,
          .rule = rule,
          .message = std::move(message),
          .path = directory.string()};
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_weights(const std::vector<std::string>& names) {
  return has(names, kSafetensorsFile) || has(names, kBinFile);
}

/// The directory itself, and folders below it that are adapters of their own.
Result<std::vector<Source>> find_sources(const fs::path& directory) {
  FERRULE_TRY(auto reader, io::DirectoryReader::open(directory));
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.directories.begin(), listing.directories.end());
  const bool has_config = has(listing.files, kConfigFile);
  const bool whole = has_config && has_weights(listing.files);
  std::vector<Source> sources;
  if (has_config || has_weights(listing.files)) {
    sources.push_back({{}, std::move(reader), std::move(listing.files)});
  }
  for (const auto& name : listing.directories) {
    if (name.starts_with('.')) continue;
    FERRULE_TRY(auto below, io::list_by_kind(directory / name));
    if (!has(below.files, kConfigFile) || !has_weights(below.files)) continue;
    std::sort(below.files.begin(), below.files.end());
    FERRULE_TRY(auto folder, io::DirectoryReader::open(directory / name));
    sources.push_back({name, std::move(folder), std::move(below.files)});
  }
  const bool top_is_broken = !sources.empty() && sources.front().folder.empty() && !whole;
  if (!sources.empty() && !top_is_broken) return sources;
  if (!has_config) {
    return lacks(directory, "AD-16", "there is no adapter_config.json: this is no PEFT adapter");
  }
  return lacks(directory, "AD-15",
               "there is neither adapter_model.safetensors nor adapter_model.bin");
}

Result<ConvertedAdapter> convert_one(const Source& source, const ConvertOptions& options,
                                     bool in_place, io::DirectoryTransaction& transaction) {
  const bool to_bin = options.format == WeightsFormat::kBin;
  ConvertedAdapter done{.folder = source.folder,
                        .from = has(source.files, kSafetensorsFile) ? kSafetensorsFile : kBinFile,
                        .to = to_bin ? kBinFile : kSafetensorsFile,
                        .copied = {}};
  const std::string prefix = source.folder.empty() ? std::string() : source.folder + "/";
  FERRULE_TRY(auto file, source.reader.open_file(done.from));
  if (!file) {
    return lacks(source.reader.path(), "AD-15", "the weights went away while they were read");
  }
  FERRULE_TRY(const auto weights, file::WeightsStream::open(std::move(file).value(), options.open));
  done.tensors = weights.tensors();
  done.from_bytes = weights.file_bytes();
  FERRULE_TRY(auto* out, transaction.create(prefix + done.to));
  FERRULE_CHECK(weights.write(*out, options.format));
  FERRULE_CHECK(transaction.remove(prefix + (to_bin ? kSafetensorsFile : kBinFile)));
  if (!in_place) {
    FERRULE_TRY(done.copied, ops::carry_files(source.reader, source.files, kWeights, prefix, transaction));
  }
  return done;
}

}  // namespace

Result<ConvertReport> convert_adapter(const fs::path& directory, const fs::path& output,
                                      const ConvertOptions& options) {
  // Once before anything is locked or made for the output.
  FERRULE_TRY(const auto looked, find_sources(directory));
  static_cast<void>(looked);
  std::error_code ignored;
  ConvertReport report;
  report.in_place = fs::equivalent(directory, output, ignored);
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, options.durability));
  // Again under the lock: in place, no other saver can come in between.
  FERRULE_TRY(const auto sources, find_sources(directory));
  for (const auto& source : sources) {
    FERRULE_TRY(auto done, convert_one(source, options, report.in_place, transaction));
    report.adapters.push_back(std::move(done));
  }
  FERRULE_CHECK(transaction.commit());
  return report;
}

}  // namespace ferrule
