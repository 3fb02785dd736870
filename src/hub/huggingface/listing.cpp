// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/listing.hpp"

#include <set>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxListedFiles = 20'000;

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
  if (!size) return fail(Failure::kBadAnswer, "the listing gives no size for " + quote(file.path));
  file.size = *size;
  FERRULE_CHECK(check_hashes(file));
  files.push_back(std::move(file));
  if (files.size() <= kMaxListedFiles) return {};
  return fail(Failure::kBadAnswer,
              "the listing has more than " + std::to_string(kMaxListedFiles) + " files");
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
  if (entries == nullptr) return fail(Failure::kBadAnswer, what + ": expected a list");
  for (const auto& entry : *entries) FERRULE_CHECK(take_entry(entry, files));
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
                                           quote(without_query(next), 200));
    }
    request.url = *url;
  }
  FERRULE_CHECK(check_listing(files));
  return files;
}

}  // namespace ferrule::hub
