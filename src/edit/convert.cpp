// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <optional>
#include <system_error>
#include <utility>

#include "adapter/open_adapter.hpp"
#include "base/try.hpp"
#include "container/weights_stream.hpp"
#include "edit/adapter_folders.hpp"
#include "io/directory_transaction.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

Result<ConvertedAdapter> convert_one(const edit::AdapterFolder& source,
                                     const ConvertOptions& options, bool in_place,
                                     io::DirectoryTransaction& transaction) {
  const bool to_bin = options.format == WeightsFormat::kBin;
  ConvertedAdapter done{.folder = source.name,
                        .from = source.has(kSafetensorsFile) ? kSafetensorsFile : kBinFile,
                        .to = to_bin ? kBinFile : kSafetensorsFile,
                        .copied = {}};
  const auto prefix = source.prefix();
  FERRULE_TRY(auto file, source.reader.open_file(done.from));
  if (!file) {
    return Error{.code = ErrorCode::kCorrupt,
                 .rule = "AD-15",
                 .message = "the weights went away while they were read",
                 .path = source.reader.path().string()};
  }
  FERRULE_TRY(const auto weights,
              container::WeightsStream::open(std::move(file).value(), options.open));
  done.tensors = weights.tensors();
  done.from_bytes = weights.file_bytes();
  FERRULE_TRY(auto* out, transaction.create(prefix + done.to));
  FERRULE_CHECK(weights.write(*out, options.format));
  FERRULE_CHECK(transaction.remove(prefix + (to_bin ? kSafetensorsFile : kBinFile)));
  if (!in_place) {
    FERRULE_TRY(done.copied, edit::copy_files(source, {kSafetensorsFile, kBinFile}, transaction));
  }
  return done;
}

}  // namespace

Result<ConvertReport> convert_adapter(const fs::path& directory, const fs::path& output,
                                      const ConvertOptions& options) {
  // Once before anything is locked or made for the output.
  FERRULE_TRY(const auto looked, edit::find_adapter_folders(directory));
  static_cast<void>(looked);
  std::error_code ignored;
  ConvertReport report;
  report.in_place = fs::equivalent(directory, output, ignored);
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, options.durability));
  // Again under the lock: in place, no other saver can come in between.
  FERRULE_TRY(const auto sources, edit::find_adapter_folders(directory));
  for (const auto& source : sources) {
    FERRULE_TRY(auto done, convert_one(source, options, report.in_place, transaction));
    report.adapters.push_back(std::move(done));
  }
  FERRULE_CHECK(transaction.commit());
  return report;
}

}  // namespace ferrule
