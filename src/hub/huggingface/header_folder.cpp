// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/header_folder.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text_file.hpp"
#include "hub/huggingface/fetch_header.hpp"

namespace ferrule::hub {
namespace {

// Smaller weights are pulled: one request, and the next command finds them in the cache.
constexpr std::uint64_t kMinWeights = 1U << 20U;
constexpr std::size_t kMaxIndexBytes = std::size_t{64} << 20U;
constexpr std::size_t kMaxShards = 4096;
constexpr const char* kModelConfig = "config.json";
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

const RemoteFile* find_file(const Pull& pull, const std::string& path) {
  const auto& files = pull.files();
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const RemoteFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

/// The files that an index of shards names; empty if it cannot be read.
std::set<std::string> shards_of(const std::filesystem::path& index) {
  std::set<std::string> shards;
  const auto text = read_text_file(index, kMaxIndexBytes);
  const auto json = text ? Json::parse(*text) : Result<Json>(Json());
  const auto* map = json ? json->find("weight_map") : nullptr;
  const auto* entries = map == nullptr ? nullptr : map->if_object();
  if (entries == nullptr) return shards;
  for (const auto& [tensor, file] : *entries) {
    if (const auto* name = file.if_string()) shards.insert(*name);
  }
  return shards;
}

/// A base model in place of an adapter.
Result<std::optional<io::HollowFolder>> fetch_base(Session& session, Pull& pull,
                                                   const std::string& prefix) {
  using Answer = std::optional<io::HollowFolder>;
  std::vector<std::string> small;
  for (const auto* name : {kModelConfig, kIndexFile}) {
    if (find_file(pull, prefix + name) != nullptr) small.push_back(prefix + name);
  }
  if (small.empty()) return Answer();
  FERRULE_TRY(const auto pulled, pull.take(small));
  std::set<std::string> shards = {kModelFile};
  if (find_file(pull, prefix + kModelFile) == nullptr) {
    shards = shards_of(pulled.path / (prefix + kIndexFile));
  }
  if (shards.size() > kMaxShards) return Answer();
  FERRULE_TRY(auto out, io::HollowFolder::make());
  for (const auto& path : small) {
    FERRULE_CHECK(out.copy(pulled.path / path, path.substr(prefix.size())));
  }
  for (const auto& name : shards) {
    // A shard that the repository lacks is for the reader to report.
    const auto* file = find_file(pull, prefix + name);
    if (file == nullptr || name.find('/') != std::string::npos) continue;
    FERRULE_TRY(const auto head, fetch_header(session, pull, *file));
    if (!head) return Answer();
    FERRULE_CHECK(out.write(name, *head, file->size));
  }
  return Answer(std::move(out));
}

}  // namespace

Result<std::optional<io::HollowFolder>> fetch_header_folder(Session& session, Pull& pull,
                                                            const std::string& folder) {
  using Answer = std::optional<io::HollowFolder>;
  const auto prefix = folder.empty() ? std::string() : folder + "/";
  const auto* weights = find_file(pull, prefix + kSafetensorsFile);
  if (weights == nullptr && find_file(pull, prefix + kConfigFile) == nullptr) {
    return fetch_base(session, pull, prefix);
  }
  if (weights == nullptr || weights->size < kMinWeights) return Answer();
  FERRULE_TRY(const bool cached, pull.cache().has_blob(*weights, session.memo));
  if (cached) return Answer();
  FERRULE_TRY(const auto config, pull.take({prefix + kConfigFile}));
  FERRULE_TRY(const auto head, fetch_header(session, pull, *weights));
  if (!head) return Answer();
  FERRULE_TRY(auto out, io::HollowFolder::make());
  FERRULE_CHECK(out.copy(config.path / (prefix + kConfigFile), kConfigFile));
  FERRULE_CHECK(out.write(kSafetensorsFile, *head, weights->size));
  return Answer(std::move(out));
}

}  // namespace ferrule::hub
