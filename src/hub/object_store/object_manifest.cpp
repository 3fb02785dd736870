// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/object_manifest.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/url.hpp"
#include "hub/transport/xml.hpp"

namespace ferrule::hub {
namespace {}  // namespace

Result<std::vector<RemoteFile>> parse_manifest(const std::string& text, const std::string& where) {
  const auto json = parse_json(text);
  const auto* list = json ? json->find("files") : nullptr;
  const auto* members = list != nullptr ? list->if_object() : nullptr;
  if (members == nullptr || size_member(*json, "format_version") != 1U) {
    return fail(Failure::kBadAnswer, where + ": " + kManifest + " is not a manifest");
  }
  std::vector<RemoteFile> files;
  for (const auto& [path, entry] : *members) {
    RemoteFile file{.path = path};
    file.sha256 = text_member(entry, "sha256");
    const auto size = size_member(entry, "size");
    if (!size || !is_hex(file.sha256, 64)) {
      return fail(Failure::kBadAnswer,
                  where + ": the manifest has no size or SHA-256 for " + quote(path));
    }
    file.size = *size;
    files.push_back(std::move(file));
  }
  FERRULE_CHECK(check_listing(files));
  return files;
}

Result<void> take_objects(std::string_view xml, const std::string& prefix,
                          std::vector<RemoteFile>& files) {
  std::size_t at = 0;
  for (;;) {
    const auto key = xml_text(xml, "Key", at);
    if (!key) return {};
    const auto size = xml_text(xml, "Size", at);
    RemoteFile file{.path = key->substr(std::min(prefix.size(), key->size()))};
    const auto [end, failed] =
        size ? std::from_chars(size->data(), size->data() + size->size(), file.size)
             : std::from_chars_result{nullptr, std::errc::invalid_argument};
    if (failed != std::errc() || key->rfind(prefix, 0) != 0) {
      return fail(Failure::kBadAnswer,
                  "the listing of S3 has an invalid size or name at " + quote(*key));
    }
    const bool is_folder = file.path.empty() || file.path.ends_with('/');
    if (!is_folder && file.path != kManifest && file.path.rfind(kKeptFolder, 0) != 0) {
      files.push_back(std::move(file));
    }
  }
}

std::string manifest_text(const std::vector<PushFile>& files) {
  Json list{Json::Object{}};
  for (const auto& file : files) {
    list.set(file.path, Json::Object{{"size", Json(file.size)}, {"sha256", file.sha256}});
  }
  return Json(Json::Object{{"format_version", 1}, {"files", std::move(list)}})
             .dump_python(2, false) +
         "\n";
}

Result<std::optional<Manifest>> read_manifest(Http& http, const ObjectStore& store) {
  const auto request = store.request(Method::kGet, kManifest, kEmptySha256);
  FERRULE_TRY(auto response, http.send(request));
  if (response.status == 404) return std::optional<Manifest>();
  if (!response.ok()) return http_failure(response, store.name);
  FERRULE_TRY(auto files, parse_manifest(response.text, store.name));
  return std::optional<Manifest>(Manifest{std::move(response.text), std::move(files)});
}

Result<std::vector<RemoteFile>> list_objects(Http& http, const ObjectStore& store) {
  const auto prefix = store.prefix.empty() ? std::string() : store.prefix + "/";
  std::vector<RemoteFile> files;
  std::string token;
  for (int page = 0; page < kMaxPages; ++page) {
    auto request = store.request(Method::kGet, "", kEmptySha256);
    request.what = "the list of " + store.name;
    // The parameters must be sorted: the signature covers them in this order.
    request.url = store.bucket_url() + "?";
    if (!token.empty()) request.url += "continuation-token=" + percent_encode(token, false) + "&";
    request.url += "list-type=2&prefix=" + percent_encode(prefix, false);
    FERRULE_TRY(const auto response, http.require(request));
    FERRULE_CHECK(take_objects(response.text, prefix, files));
    token = xml_text(response.text, "NextContinuationToken").value_or("");
    if (token.empty()) break;
  }
  if (!token.empty())
    return fail(Failure::kBadAnswer, "the list of " + store.name + " does not end");
  if (files.empty()) return fail(Failure::kNoEntry, store.name + ": there is nothing below it");
  FERRULE_CHECK(check_listing(files));
  return files;
}

Result<std::vector<RemoteFile>> probe(Http& http, const ObjectStore& store) {
  std::vector<RemoteFile> files;
  for (const std::string path : {kCardFile, kConfigFile, kSafetensorsFile}) {
    auto request = store.request(Method::kHead, path, kEmptySha256);
    FERRULE_TRY(const auto response, http.send(request));
    if (response.status == 404 && path == kCardFile) continue;
    if (!response.ok()) return http_failure(response, path + " of " + store.name);
    const auto length = std::string(response.header("content-length"));
    if (length.empty() || length.find_first_not_of("0123456789") != std::string::npos ||
        length.size() > 15) {
      return fail(Failure::kBadAnswer,
                  path + " of " + store.name + ": the answer does not contain a valid size");
    }
    files.push_back({.path = path, .size = std::stoull(length)});
  }
  return files;
}

}  // namespace ferrule::hub
