// SPDX-License-Identifier: Apache-2.0
#include "rescue/shard_manifest.hpp"

#include <utility>

#include "base/errors.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {
namespace {}  // namespace

std::optional<std::uint64_t> json_count(const Json* value) {
  const auto* number = value != nullptr ? value->if_int64() : nullptr;
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::optional<std::vector<std::uint64_t>> json_counts(const Json* value) {
  const auto* items = value != nullptr ? value->if_array() : nullptr;
  if (items == nullptr || items->size() > kMaxRank) return std::nullopt;
  std::vector<std::uint64_t> out;
  for (const auto& item : *items) {
    const auto number = json_count(&item);
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

Result<ShardManifest> read_manifest(const std::filesystem::path& path, const std::string& text) {
  const auto parsed = Json::parse(text);
  if (!parsed)
    return base::at(base::corrupt("RS-2", "FERRULE_SHARD: " + parsed.error().message),
                    path.string());
  const auto version = json_count(parsed->find("version"));
  if (version != 1) {
    return base::at(base::unsupported("RS-2", "FERRULE_SHARD has a version that is not 1"),
                    path.string());
  }
  ShardManifest manifest;
  const auto* run = parsed->find("run");
  const auto* sha256 = parsed->find("sha256");
  const auto* tensors = parsed->find("tensors");
  const auto step = json_count(parsed->find("step"));
  const auto rank = json_count(parsed->find("rank"));
  const auto world = json_count(parsed->find("world"));
  if (run == nullptr || run->if_string() == nullptr || sha256 == nullptr ||
      sha256->if_string() == nullptr || tensors == nullptr || tensors->if_object() == nullptr ||
      !step || !rank || !world || *world == 0 || *world > kMaxWorld || *rank >= *world) {
    return base::at(
        base::corrupt("RS-2", "FERRULE_SHARD is not complete, or its rank and world do not fit"),
        path.string());
  }
  manifest.run = *run->if_string();
  manifest.sha256 = *sha256->if_string();
  manifest.tensors = *tensors;
  manifest.step = static_cast<std::int64_t>(*step);
  manifest.rank = *rank;
  manifest.world = *world;
  return manifest;
}

}  // namespace ferrule::rescues
