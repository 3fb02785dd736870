// SPDX-License-Identifier: Apache-2.0
#include "adapter/open_adapter.hpp"

#include <utility>

#include "base/try.hpp"
#include "ferrule/checkpoint.hpp"
#include "io/input_file.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr int kMostGenerations = 16;  // A saver in a loop must not keep a reader forever.

Error lacks(const fs::path& directory, const char* rule, std::string message) {
  return {.code = ErrorCode::kCorrupt,
          .rule = rule,
          .message = std::move(message),
          .path = directory.string()};
}

Result<AdapterFiles> open_once(const io::DirectoryReader& reader, const OpenOptions& options) {
  const auto& directory = reader.path();
  FERRULE_TRY(auto config_file, reader.open_file(kConfigFile));
  if (!config_file) {
    return lacks(directory, "AD-16", "there is no adapter_config.json: this is no PEFT adapter");
  }
  FERRULE_TRY(const auto text, config_file->read_text(options.limits.text_bytes));
  FERRULE_TRY(auto config, AdapterConfig::parse(text, directory / kConfigFile));

  FERRULE_TRY(auto safetensors, reader.open_file(kSafetensorsFile));
  if (safetensors) {
    const auto path = directory / kSafetensorsFile;
    FERRULE_TRY(auto file, SafetensorsFile::open(path, options));
    auto metadata = file.metadata();
    const auto bytes = file.file_bytes();
    return AdapterFiles{std::move(config), std::make_unique<SafetensorsFile>(std::move(file)), path,
                        std::move(metadata), bytes};
  }
  FERRULE_TRY(auto bin, reader.open_file(kBinFile));
  if (!bin) {
    return lacks(directory, "AD-15",
                 "there is neither adapter_model.safetensors nor adapter_model.bin");
  }
  const auto path = directory / kBinFile;
  FERRULE_TRY(auto file, Checkpoint::open(path, options));
  const auto bytes = file.file_bytes();
  return AdapterFiles{std::move(config), std::make_unique<Checkpoint>(std::move(file)), path, {}, bytes};
}

}  // namespace

Result<AdapterFiles> open_adapter_files(const fs::path& directory, const OpenOptions& options) {
  for (int generation = 1;; ++generation) {
    FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
    auto files = open_once(reader, options);
    if (!reader.was_replaced() || generation == kMostGenerations) return files;
  }
}

}  // namespace ferrule
