// SPDX-License-Identifier: Apache-2.0
#include "hub/listing.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "hub/answer.hpp"
#include "hub/failure.hpp"
#include "hub/names.hpp"
#include "hub/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxFiles = 20'000;
constexpr int kMaxPages = 100;

Result<void> check_hashes(const RemoteFile& file) {
  const bool good = is_hex(file.blob, 40) && (file.sha256.empty() || is_hex(file.sha256, 64)) &&
                    (file.xet.empty() || is_hex(file.xet, 64));
  if (good) return {};
  return fail(Failure::kBadAnswer,
              "the listing gives " + base::quote(file.path) + " a hash that is none");
}

Result<void> take_entry(const Json& entry, std::vector<RemoteFile>& files) {
  if (text_member(entry, "type") != "file") return {};
  RemoteFile file;
  file.path = text_member(entry, "path");
  file.blob = text_member(entry, "oid");
  file.xet = text_member(entry, "xetHash");
  auto size = size_member(entry, "size");
  if (const auto* lfs = entry.find("lfs"); lfs != nullptr && lfs->is_object()) {
    file.sha256 = text_member(*lfs, "oid");
    size = size_member(*lfs, "size");
    if (file.sha256.empty()) file.sha256 = "none";
  }
  if (!size)
    return fail(Failure::kBadAnswer, "the listing gives no size for " + base::quote(file.path));
  file.size = *size;
  FERRULE_CHECK(check_hashes(file));
  files.push_back(std::move(file));
  if (files.size() <= kMaxFiles) return {};
  return fail(Failure::kBadAnswer,
              "the listing has more than " + std::to_string(kMaxFiles) + " files");
}

}  // namespace

std::string next_page(std::string_view link) {
  const auto relation = link.find("rel=\"next\"");
  if (relation == std::string_view::npos) return {};
  const auto begin = link.rfind('<', relation);
  const auto end = begin == std::string_view::npos ? begin : link.find('>', begin);
  if (end == std::string_view::npos || end > relation) return {};
  return std::string(link.substr(begin + 1, end - begin - 1));
}

Result<void> take_page(const Json& page, const std::string& what, std::vector<RemoteFile>& files) {
  const auto* entries = page.if_array();
  if (entries == nullptr) return fail(Failure::kBadAnswer, what + ": it is no list");
  for (const auto& entry : *entries) FERRULE_CHECK(take_entry(entry, files));
  return {};
}

Result<void> check_listing(std::vector<RemoteFile>& files) {
  std::sort(files.begin(), files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.path < b.path; });
  std::set<std::string, std::less<>> names;
  for (const auto& file : files) {
    if (!is_safe_path(file.path)) {
      return fail(Failure::kUnsafePath, "the listing holds a path that leads out of its folder: " +
                                            base::quote(file.path));
    }
    if (!names.insert(file.path).second) {
      return fail(Failure::kUnsafePath, "the listing holds " + base::quote(file.path) + " twice");
    }
  }
  for (const auto& file : files) {
    for (auto slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      if (!names.contains(std::string_view(file.path).substr(0, slash))) continue;
      return fail(Failure::kUnsafePath,
                  "the listing holds a file where " + base::quote(file.path) + " needs a folder");
    }
  }
  return {};
}

Result<std::vector<RemoteFile>> list_files(const Repository& repository,
                                           const std::string& commit) {
  Request request;
  request.what = "the list of files of " + repository.id();
  request.url = repository.api("/tree/" + commit + "?recursive=true&expand=false");
  request.with_token = true;
  std::vector<RemoteFile> files;
  std::set<std::string> seen;
  for (int page = 0;; ++page) {
    if (page >= kMaxPages || !seen.insert(request.url).second) {
      return fail(Failure::kBadAnswer, request.what + ": its pages do not end");
    }
    FERRULE_TRY(const auto response, repository.http().require(request));
    FERRULE_TRY(const auto json, json_answer(response, request.what));
    FERRULE_CHECK(take_page(json, request.what, files));
    const auto next = next_page(response.header("link"));
    if (next.empty()) break;
    const auto& endpoint = repository.http().settings().endpoint;
    const auto url = resolve_url(request.url, at_endpoint(next, endpoint));
    if (!url || origin_of(*url) != origin_of(endpoint)) {
      return fail(Failure::kBadAnswer, request.what + ": its next page is on another server, " +
                                           base::quote(without_query(next), 200));
    }
    request.url = *url;
  }
  FERRULE_CHECK(check_listing(files));
  return files;
}

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
