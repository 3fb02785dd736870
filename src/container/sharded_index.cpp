// SPDX-License-Identifier: Apache-2.0
#include "container/sharded_index.hpp"

#include <algorithm>
#include <map>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text.hpp"

namespace ferrule::container {
namespace {

/// A name that cannot lead out of the index's own directory, on any system.
bool is_plain_name(std::string_view name) noexcept {
  if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20;
  });
}

}  // namespace

Result<ShardedIndex> parse_sharded_index(std::string_view json) {
  auto parsed = Json::parse(json);
  if (!parsed) {
    auto error = std::move(parsed).error();
    error.rule = "ST-20";
    error.message = "the index is not strict JSON: " + error.message;
    return error;
  }
  const Json* const map = parsed->find("weight_map");
  if (map == nullptr || map->if_object() == nullptr) {
    return base::corrupt(
        "ST-20",
        "expected an index of shards, an object with an object \"weight_map\"; found " +
            std::string(map == nullptr ? "none" : map->type_name()) +
            (parsed->find("peft_type") == nullptr ? ""
                                                  : " (an adapter's config: give its directory)"));
  }
  std::map<std::string, std::vector<std::string>> by_file;
  for (const auto& [tensor, file] : *map->if_object()) {
    const std::string* const name = file.if_string();
    if (name == nullptr) {
      return base::corrupt("ST-21", "the file of tensor " + quote(tensor) +
                                        " must be a string, found " +
                                        std::string(file.type_name()));
    }
    if (!is_plain_name(*name)) {
      return base::corrupt("ST-22", "the file of tensor " + quote(tensor) +
                                        " must be a plain file name next to the index, found " +
                                        quote(*name));
    }
    by_file[*name].push_back(tensor);
  }
  ShardedIndex index;
  for (auto& [file, tensors] : by_file) {
    std::sort(tensors.begin(), tensors.end());
    index.shards.push_back({file, std::move(tensors)});
  }
  return index;
}

Result<void> check_shard(const ShardedIndex::Shard& shard, const TensorSource& source) {
  std::vector<std::string_view> dropped;
  for (const auto& alias : source.aliases()) dropped.push_back(alias.removed);
  std::sort(dropped.begin(), dropped.end());
  for (const auto& name : shard.tensors) {
    if (!source.find(name) && !std::binary_search(dropped.begin(), dropped.end(), name)) {
      return base::corrupt("ST-23", "the index expects tensor " + quote(name) + " in shard " +
                                        quote(shard.file) +
                                        ", which does not hold it (shards of two saves mixed?)");
    }
  }
  for (const auto& [name, tensor] : source.tensors()) {
    if (!std::binary_search(shard.tensors.begin(), shard.tensors.end(), name)) {
      return base::corrupt("ST-24",
                           "shard " + quote(shard.file) + " holds tensor " + quote(name) +
                               ", which the index does not expect there (shards of two saves "
                               "mixed?)");
    }
  }
  return {};
}

}  // namespace ferrule::container
