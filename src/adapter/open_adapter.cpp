// SPDX-License-Identifier: Apache-2.0
#include "adapter/open_adapter.hpp"

#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/container.hpp"
#include "container/safetensors_file_access.hpp"
#include "ferrule/file_names.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxGenerations = 16;  // A saver in a loop must not keep a reader forever.

Result<AdapterFiles> open_once(const io::DirectoryReader& reader, const OpenOptions& options) {
  const auto& directory = reader.path();
  FERRULE_TRY(auto config_file, reader.open_file(kConfigFile));
  if (!config_file) {
    return base::at(
        base::corrupt("AD-16", "there is no adapter_config.json: this is no PEFT adapter"),
        directory);
  }
  FERRULE_TRY(const auto text, config_file->read_text(options.limits.text_bytes));
  FERRULE_TRY(auto config, AdapterConfig::parse(text, directory / kConfigFile));

  FERRULE_TRY(const auto safetensors, reader.open_file(kSafetensorsFile));
  if (safetensors) {
    FERRULE_TRY(auto file, SafetensorsFileAccess::open(*safetensors, options));
    auto metadata = file.metadata();
    return AdapterFiles{std::move(config), std::make_unique<SafetensorsFile>(std::move(file)),
                        safetensors->path(), std::move(metadata), safetensors->size()};
  }
  FERRULE_TRY(const auto bin, reader.open_file(kBinFile));
  if (!bin) {
    return base::at(
        base::corrupt("AD-15", "there is neither adapter_model.safetensors nor adapter_model.bin"),
        directory);
  }
  FERRULE_TRY(const auto kind, container::kind_of(*bin));
  FERRULE_TRY(auto source, container::open_container(*bin, kind, options));
  return AdapterFiles{std::move(config), std::move(source), bin->path(), {}, bin->size()};
}

}  // namespace

Result<AdapterFiles> open_adapter_files(const fs::path& directory, const OpenOptions& options) {
  for (int generation = 1;; ++generation) {
    FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
    auto files = open_once(reader, options);
    if (!reader.was_replaced() || generation == kMaxGenerations) return files;
  }
}

}  // namespace ferrule
