// SPDX-License-Identifier: Apache-2.0
#include "adapter/adapter_folders.hpp"

#include <algorithm>
#include <utility>

#include "adapter/open_adapter.hpp"
#include "adapter/other_things.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/file_names.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/walk.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

bool has_file(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_weights(const std::vector<std::string>& names) {
  return has_file(names, kSafetensorsFile) || has_file(names, kBinFile);
}

}  // namespace

Result<AdapterFolder> AdapterFolder::open(const fs::path& directory) {
  FERRULE_TRY(auto reader, io::DirectoryReader::open(directory));
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.files.begin(), listing.files.end());
  return AdapterFolder{{}, std::move(reader), std::move(listing.files)};
}

bool AdapterFolder::has(std::string_view file) const { return has_file(files, file); }

Result<std::vector<AdapterFolder>> find_adapter_folders(const fs::path& directory) {
  auto opened = io::DirectoryReader::open(directory);
  if (!opened && opened.error().code == ErrorCode::kUnsupported) {
    return describe_other_file(directory, {});
  }
  FERRULE_TRY(auto reader, std::move(opened));
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.directories.begin(), listing.directories.end());
  const bool has_config = has_file(listing.files, kConfigFile);
  const bool whole = has_config && has_weights(listing.files);
  std::vector<AdapterFolder> folders;
  if (has_config || has_weights(listing.files)) {
    folders.push_back({{}, std::move(reader), std::move(listing.files)});
  }
  for (const auto& name : listing.directories) {
    if (name.starts_with('.')) continue;
    FERRULE_TRY(auto below, io::list_by_kind(directory / name));
    if (!has_file(below.files, kConfigFile) || !has_weights(below.files)) continue;
    std::sort(below.files.begin(), below.files.end());
    FERRULE_TRY(auto folder, io::DirectoryReader::open(directory / name));
    folders.push_back({name, std::move(folder), std::move(below.files)});
  }
  const bool top_is_broken = !folders.empty() && folders.front().name.empty() && !whole;
  if (!folders.empty() && !top_is_broken) return folders;
  if (!has_config) {
    FERRULE_TRY(const auto again, io::DirectoryReader::open(directory));
    return base::at(base::corrupt("AD-16", "not a PEFT adapter: adapter_config.json is missing" +
                                               describe_other_folder(again, {})),
                    directory);
  }
  // The config of another program, whose weights have other names.
  FERRULE_CHECK(AdapterConfig::open(directory / kConfigFile));
  return base::at(
      base::corrupt("AD-15", "there is neither adapter_model.safetensors nor adapter_model.bin"),
      directory);
}

}  // namespace ferrule::adapter
