// SPDX-License-Identifier: Apache-2.0
#include "ferrule/assemble.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/walk.hpp"
#include "rescue/shards.hpp"
#include "rescue/steps.hpp"
#include "rescue/writing.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// The folder itself, or its folders `step-N`, the newest first.
Result<rescues::Steps> find_sets(const fs::path& directory) {
  FERRULE_TRY(auto listing, io::list_by_kind(directory, io::Stages::kSkip));
  std::sort(listing.files.begin(), listing.files.end());
  rescues::Steps steps;
  const auto add = [&steps](const fs::path& path, std::vector<std::string> names,
                            std::optional<std::int64_t> number) {
    steps.steps.push_back({path, number, [path, names = std::move(names)](const auto& sources) {
                             return rescues::find_shards(sources, path, names);
                           }});
  };
  if (rescues::is_shard_folder(listing.files)) {
    add(directory, listing.files, std::nullopt);
    return steps;
  }
  std::sort(listing.directories.begin(), listing.directories.end());
  std::reverse(listing.directories.begin(), listing.directories.end());
  for (const auto& name : listing.directories) {
    if (!name.starts_with("step-")) continue;
    FERRULE_TRY(auto inner, io::list_by_kind(directory / name, io::Stages::kSkip));
    std::sort(inner.files.begin(), inner.files.end());
    if (rescues::is_shard_folder(inner.files)) add(directory / name, std::move(inner.files), {});
  }
  if (!steps.steps.empty()) return steps;
  return base::at(base::corrupt("RS-1",
                                "it has no shards: no file shard-00001-model-00001-of-"
                                "00001.safetensors, and no folder step-N with one"),
                  directory.string());
}

}  // namespace

Result<RescueReport> assemble(const fs::path& directory, const fs::path& output,
                              const AssembleOptions& options) {
  FERRULE_TRY(const auto steps, find_sets(directory));
  return rescues::write_adapter(steps, {.checkpoint = directory,
                                        .output = output,
                                        .config = options.config,
                                        .adapter = options.adapter,
                                        .durability = options.durability});
}

}  // namespace ferrule
