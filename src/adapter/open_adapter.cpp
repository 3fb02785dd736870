// SPDX-License-Identifier: Apache-2.0
#include "adapter/open_adapter.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "adapter/known_examinations.hpp"
#include "adapter/other_things.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/container.hpp"
#include "container/safetensors_file_access.hpp"
#include "ferrule/file_names.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxGenerations = 16;  // A saver in a loop must not keep a reader forever.

bool is_torch(FileKind kind) noexcept {
  return kind == FileKind::kTorchZip || kind == FileKind::kTorchLegacy ||
         kind == FileKind::kTorchTar;
}

/// adapter_model.bin, if it can be read and has data.
std::unique_ptr<TensorSource> whole_bin(const io::DirectoryReader& reader,
                                        const OpenOptions& options, AdapterFiles& files) {
  const auto bin = reader.open_file(kBinFile);
  if (!bin || !*bin) return nullptr;
  const auto kind = container::kind_of(**bin);
  if (!kind) return nullptr;
  auto source = container::open_container(**bin, *kind, options);
  if (!source || container::is_hollow(**source)) return nullptr;
  files.whole_bin_tensors = (*source)->tensors().size();
  return std::move(*source);
}

/// What to do where adapter_model.safetensors does not have a byte; an empty optional if
/// adapter_model.bin does not help.
std::optional<Result<AdapterFiles>> open_beside_nothing(
    const io::DirectoryReader& reader, const OpenOptions& options, EmptyWeights empty,
    std::shared_ptr<const AdapterConfig> config) {
  AdapterFiles files{
      .config = std::move(config), .weights = nullptr, .weights_file = {}, .metadata = {}};
  auto whole = whole_bin(reader, options, files);
  if (!whole) return std::nullopt;
  if (empty != EmptyWeights::kTakeWholeBin) {
    return base::at(
        base::corrupt("AD-15",
                      "adapter_model.safetensors has 0 bytes; the adapter_model.bin next to it is "
                      "whole (" +
                          std::to_string(files.whole_bin_tensors) +
                          " tensors), but PEFT reads the first: `ferrule fix` and `ferrule "
                          "convert` take adapter_model.bin"),
        reader.path() / kSafetensorsFile);
  }
  files.weights = std::move(whole);
  files.weights_file = reader.path() / kBinFile;
  return files;
}

/// The config with that text, parsed unless that was done before.
Result<std::shared_ptr<const AdapterConfig>> config_of(std::string_view text,
                                                       const fs::path& directory) {
  if (auto known = find_config(text)) return known;
  FERRULE_TRY(auto parsed, AdapterConfig::parse(text, directory / kConfigFile));
  return std::make_shared<const AdapterConfig>(std::move(parsed));
}

Result<AdapterFiles> open_once(const io::DirectoryReader& reader, const OpenOptions& options,
                               EmptyWeights empty) {
  const auto& directory = reader.path();
  FERRULE_TRY(auto config_file, reader.open_file(kConfigFile));
  if (!config_file) {
    return base::at(base::corrupt("AD-16", "not a PEFT adapter: adapter_config.json is missing" +
                                               describe_other_folder(reader, options)),
                    directory);
  }
  FERRULE_TRY(auto text, config_file->read_text(options.limits.text_bytes));
  FERRULE_TRY(auto config, config_of(text, directory));
  FERRULE_TRY(const auto safetensors, reader.open_file(kSafetensorsFile));
  if (safetensors && safetensors->size() == 0) {
    if (auto files = open_beside_nothing(reader, options, empty, config)) return *std::move(files);
  }
  if (safetensors && empty == EmptyWeights::kTakeWholeBin) {
    FERRULE_TRY(const auto kind, container::kind_of(*safetensors));
    if (is_torch(kind)) {
      FERRULE_TRY(auto source, container::open_container(*safetensors, kind, options));
      return AdapterFiles{.config = std::move(config),
                          .weights = std::move(source),
                          .weights_file = safetensors->path(),
                          .metadata = {},
                          .file_bytes = safetensors->size(),
                          .misnamed = true};
    }
  }
  if (safetensors) {
    FERRULE_TRY(auto file, SafetensorsFileAccess::open(*safetensors, options));
    auto metadata = file.metadata();
    AdapterFiles files{.config = std::move(config),
                       .weights = std::make_unique<SafetensorsFile>(std::move(file)),
                       .weights_file = safetensors->path(),
                       .metadata = std::move(metadata),
                       .file_bytes = safetensors->size(),
                       .config_text = std::move(text)};
    if (!container::is_hollow(*files.weights)) return files;
    auto whole = whole_bin(reader, options, files);
    if (whole && empty == EmptyWeights::kTakeWholeBin) {
      files.weights = std::move(whole);
      files.weights_file = directory / kBinFile;
      files.metadata = {};
    }
    return files;
  }
  FERRULE_TRY(const auto bin, reader.open_file(kBinFile));
  if (!bin) {
    return base::at(
        base::corrupt("AD-15", "there is neither adapter_model.safetensors nor adapter_model.bin"),
        directory);
  }
  FERRULE_TRY(const auto kind, container::kind_of(*bin));
  FERRULE_TRY(auto source, container::open_container(*bin, kind, options));
  return AdapterFiles{.config = std::move(config),
                      .weights = std::move(source),
                      .weights_file = bin->path(),
                      .metadata = {},
                      .file_bytes = bin->size(),
                      .misnamed = kind == FileKind::kSafetensors};
}

}  // namespace

bool holds_adapter(const std::vector<std::string>& files) {
  return std::any_of(files.begin(), files.end(), [](const std::string& name) {
    return name == kConfigFile || name == kSafetensorsFile || name == kBinFile;
  });
}

Result<AdapterFiles> open_adapter_files(const fs::path& directory, const OpenOptions& options,
                                        EmptyWeights empty) {
  for (int generation = 1;; ++generation) {
    const auto reader = io::DirectoryReader::open(directory);
    if (!reader && reader.error().code == ErrorCode::kUnsupported) {
      return describe_other_file(directory, options);
    }
    if (!reader) return reader.error();
    auto files = open_once(*reader, options, empty);
    if (!reader->was_replaced() || generation == kMaxGenerations) return files;
  }
}

}  // namespace ferrule::adapter
