// SPDX-License-Identifier: Apache-2.0
#include "hub/files/cached_tree.hpp"

#include <utility>

#include "base/try.hpp"
#include "ferrule/json.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {

std::string tree_text(const std::vector<RemoteFile>& files) {
  Json list{Json::Object{}};
  for (const auto& file : files) {
    Json entry(Json::Object{{"size", Json(file.size)}, {"blob_id", file.blob}});
    if (file.large()) {
      entry.set("lfs_sha256", file.sha256);
      entry.set("lfs_size", Json(file.size));
    }
    if (!file.xet.empty()) entry.set("xet_hash", file.xet);
    list.set(file.path, std::move(entry));
  }
  return Json(Json::Object{{"format_version", 1}, {"files", std::move(list)}})
      .dump_python(1, false);
}

Result<std::vector<RemoteFile>> parse_tree(const std::string& text) {
  FERRULE_TRY(const auto json, parse_json(text));
  const auto* list = json.find("files");
  const auto* members = list != nullptr ? list->if_object() : nullptr;
  if (size_member(json, "format_version") != 1U || members == nullptr) {
    return fail(Failure::kBadAnswer, "a cached list of files of an unknown format");
  }
  std::vector<RemoteFile> files;
  for (const auto& [path, entry] : *members) {
    RemoteFile file{.path = path,
                    .size = size_member(entry, "size").value_or(0),
                    .blob = text_member(entry, "blob_id"),
                    .sha256 = text_member(entry, "lfs_sha256"),
                    .xet = text_member(entry, "xet_hash")};
    if (file.large()) file.size = size_member(entry, "lfs_size").value_or(file.size);
    FERRULE_CHECK(check_hashes(file));
    files.push_back(std::move(file));
  }
  FERRULE_CHECK(check_listing(files));
  return files;
}

}  // namespace ferrule::hub
