// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <string>
#include <utility>
#include <vector>

#include "adapter/open_adapter.hpp"
#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/weights_stream.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text_file.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// Weights beside a config that is not JSON are no adapter in any format.
Result<void> check_config(const adapter::AdapterFolder& source) {
  if (!source.has(kConfigFile)) return {};
  const auto path = source.reader.path() / kConfigFile;
  FERRULE_TRY(const auto text, read_text_file(path));
  const auto parsed = Json::parse(text, {.allow_nan = true});
  if (!parsed) return base::at(parsed.error(), path);
  return {};
}

class Repack final : public adapter::Rewriter {
 public:
  Repack(const fs::path& directory, const ConvertOptions& options)
      : directory_(directory), options_(options) {}

  Result<bool> look() override {
    FERRULE_TRY(sources_, adapter::find_adapter_folders(directory_));
    from_.clear();
    for (const auto& source : sources_) {
      FERRULE_CHECK(check_config(source));
      const bool both = source.has(kSafetensorsFile) && source.has(kBinFile);
      const char* from = source.has(kSafetensorsFile) ? kSafetensorsFile : kBinFile;
      if (both) {
        // A file that is bad in itself is refused when it is read.
        const auto files = adapter::open_adapter_files(source.reader.path(), options_.open,
                                                       adapter::EmptyWeights::kTakeWholeBin);
        if (files && files->whole_bin_tensors != 0) from = kBinFile;
      }
      from_.emplace_back(from);
    }
    return true;
  }

  Result<std::vector<adapter::FolderRewrite>> make() override {
    const bool to_bin = options_.format == WeightsFormat::kBin;
    std::vector<adapter::FolderRewrite> folders;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto& source = sources_[i];
      adapters_.push_back({.folder = source.name,
                           .from = from_[i],
                           .to = to_bin ? kBinFile : kSafetensorsFile,
                           .copied = {}});
      folders.push_back({.folder = source.name,
                         .format = options_.format,
                         .weights = [this, i](io::OutputFile& out) { return write(i, out); },
                         .config = {},
                         .source = &source});
    }
    return folders;
  }

  std::vector<ConvertedAdapter> take_adapters() { return std::move(adapters_); }

 private:
  /// Opened here and not before: an output of many folders holds one weights file at a time.
  Result<void> write(std::size_t i, io::OutputFile& out) {
    const auto& source = sources_[i];
    auto& done = adapters_[i];
    FERRULE_TRY(auto file, source.reader.open_file(done.from));
    if (!file) {
      return base::at(base::corrupt("AD-15", "the weights went away while they were read"),
                      source.reader.path());
    }
    FERRULE_TRY(const auto weights,
                container::WeightsStream::open(std::move(file).value(), options_.open));
    done.tensors = weights.tensors();
    done.from_bytes = weights.file_bytes();
    return weights.write(out, options_.format, options_.threads);
  }

  const fs::path& directory_;
  const ConvertOptions& options_;
  std::vector<adapter::AdapterFolder> sources_;
  std::vector<std::string> from_;
  std::vector<ConvertedAdapter> adapters_;
};

}  // namespace

Result<ConvertReport> convert(const fs::path& directory, const fs::path& output,
                              const ConvertOptions& options) {
  Repack repack(directory, options);
  FERRULE_TRY(
      auto done,
      adapter::rewrite(output, {.source = directory, .durability = options.durability}, repack));
  ConvertReport report{.adapters = repack.take_adapters(), .in_place = done.in_place};
  for (std::size_t i = 0; i < report.adapters.size(); ++i) {
    report.adapters[i].copied = std::move(done.folders[i].copied);
  }
  return report;
}

}  // namespace ferrule
