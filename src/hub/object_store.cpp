// SPDX-License-Identifier: Apache-2.0
// Adapters as plain objects under a prefix, with a manifest that is written last: it says which
// files there are and what they hold, so that a reader takes all of one push or nothing.
#include "hub/object_store.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "hub/answer.hpp"
#include "hub/cache.hpp"
#include "hub/curl.hpp"
#include "hub/failure.hpp"
#include "hub/http_failure.hpp"
#include "hub/meter.hpp"
#include "hub/names.hpp"
#include "hub/object_manifest.hpp"
#include "hub/place_files.hpp"
#include "hub/push_check.hpp"
#include "hub/push_file.hpp"
#include "hub/remote_file.hpp"
#include "hub/s3_upload.hpp"
#include "hub/url.hpp"
#include "hub/watcher.hpp"
#include "io/digest.hpp"
#include "io/partial_file.hpp"

namespace ferrule::hub {
namespace {

std::string first_of(std::initializer_list<const char*> names) {
  for (const auto* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

Result<void> put(Http& http, const ObjectStore& store, const std::string& path, Body& body,
                 const std::string& sha256) {
  auto request = store.request(Method::kPut, path, sha256);
  request.body = &body;
  request.headers.emplace_back("Content-Type", "application/octet-stream");
  request.silence = std::max(http.settings().transfer_timeout, http.settings().answer_timeout);
  FERRULE_TRY(const auto response, http.require(request));
  return {};
}

/// Keeps the object that a manifest in force speaks of, before another takes its name: whoever
/// reads meanwhile, or after a push that failed, finds it there.
Result<void> keep(Http& http, const ObjectStore& store, const RemoteFile& file) {
  const auto kept = kept_name(file.sha256);
  FERRULE_TRY(const auto there, http.send(store.request(Method::kHead, kept, kEmptySha256)));
  if (there.ok()) return {};
  auto copy = store.request(Method::kPut, kept, kEmptySha256);
  copy.headers.emplace_back("x-amz-copy-source", store.copy_source(file.path));
  TextBody nothing("");
  copy.body = &nothing;
  FERRULE_TRY(const auto response, http.send(copy));
  if (response.ok() || response.status == 404) return {};
  return http_failure(response, copy.what);
}

Result<void> fetch_one(Session& session, const ObjectStore& store, const RemoteFile& file,
                       const io::Folder& staging, const Stop& stop, Meter& meter) {
  const auto slash = file.path.rfind('/');
  FERRULE_TRY(const auto folder,
              staging.make_below(slash == std::string::npos ? "" : file.path.substr(0, slash)));
  const auto name = slash == std::string::npos ? file.path : file.path.substr(slash + 1);
  const auto request = store.request(Method::kGet, file.path, kEmptySha256);
  Source source{.url = request.url,
                .what = file.path + " of " + store.name,
                .size = file.size,
                .sign_as = request.sign_as,
                .sign_for = request.sign_for,
                .headers = request.headers};
  for (int tried = 1;; ++tried) {
    FERRULE_TRY(auto partial, io::PartialFile::open(folder, name));
    if (file.sha256.empty()) FERRULE_CHECK(partial.clear());  // Nothing would tell old from new.
    const auto fetched = fetch(*session.lanes.take(stop), source, partial, meter);
    if (!fetched && !is(fetched.error(), Failure::kIntegrity) && tried == 1) return fetched.error();
    if (fetched) {
      if (file.sha256.empty()) return {};
      FERRULE_TRY(const auto opened, folder.open_file(name));
      FERRULE_TRY(const bool intact, is_intact(*opened, folder.path() / name, file, session.memo));
      if (intact) return {};
    }
    FERRULE_CHECK(partial.clear());
    // Another push may have taken the name since: what the manifest means was kept.
    source.url = store.request(Method::kGet, kept_name(file.sha256), kEmptySha256).url;
    if (tried >= 2) {
      return fail(
          Failure::kIntegrity,
          source.what + ": what came is not what the manifest lists, sha256 " + file.sha256);
    }
  }
}

}  // namespace

bool is_object_store(std::string_view text) noexcept {
  return text.rfind("s3://", 0) == 0 || text.rfind("https://", 0) == 0 ||
         text.rfind("http://", 0) == 0;
}

Result<ObjectStore> ObjectStore::open(const std::string& text) {
  ObjectStore store;
  store.name = text;
  while (store.name.ends_with('/')) store.name.pop_back();
  if (store.name.rfind("s3://", 0) != 0) {
    if (curl() == nullptr) return curl_missing();
    if (!origin_of(store.name) || store.name.find_first_of("?#") != std::string::npos) {
      return fail(Failure::kUsage,
                  "expected the address of a folder, found " + base::quote(without_query(text)));
    }
    store.url = store.name;
    return store;
  }
  const auto rest = store.name.substr(5);
  const auto slash = rest.find('/');
  const auto bucket = rest.substr(0, slash);
  const auto prefix = slash == std::string::npos ? std::string() : rest.substr(slash + 1);
  const bool plain = !bucket.empty() && bucket.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyz"
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789.-_") == std::string::npos;
  if (!plain || (!prefix.empty() && !is_safe_path(prefix))) {
    return fail(Failure::kUsage, "expected s3://bucket/prefix, found " + base::quote(text));
  }
  auto region = first_of({"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (region.empty()) region = "us-east-1";
  auto endpoint = first_of({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  while (endpoint.ends_with('/')) endpoint.pop_back();
  store.bucket = bucket;
  store.prefix = prefix;
  store.url = endpoint.empty() ? "https://s3." + region + ".amazonaws.com/" + bucket
                               : endpoint + "/" + bucket;
  if (!prefix.empty()) store.url += "/" + percent_encode(prefix, true);
  const auto key = first_of({"AWS_ACCESS_KEY_ID"});
  const auto secret = first_of({"AWS_SECRET_ACCESS_KEY"});
  if (!key.empty() && !secret.empty()) {
    store.sign_as = key + ":" + secret;
    store.sign_for = "aws:amz:" + region + ":s3";
    store.session = first_of({"AWS_SESSION_TOKEN"});
  }
  store.writable = true;
  return store;
}

std::string ObjectStore::bucket_url() const {
  return prefix.empty() ? url : url.substr(0, url.size() - 1 - percent_encode(prefix, true).size());
}

std::string ObjectStore::copy_source(const std::string& path) const {
  return "/" + bucket + "/" + percent_encode(prefix.empty() ? path : prefix + "/" + path, true);
}

Request ObjectStore::request(Method method, std::string_view path,
                             std::string_view payload_sha256) const {
  Request out;
  out.method = method;
  out.url = url + "/" + percent_encode(path, true);
  out.what = std::string(path) + " of " + name;
  if (!sign_as.empty()) {
    out.sign_as = sign_as;
    out.sign_for = sign_for;
    out.headers.emplace_back("x-amz-content-sha256", std::string(payload_sha256));
    if (!session.empty()) out.headers.emplace_back("x-amz-security-token", session);
  }
  return out;
}

namespace {

Result<ObjectStore> open_for_push(const std::string& destination, const PushOptions& options) {
  FERRULE_TRY(auto store, ObjectStore::open(destination));
  if (!store.writable) {
    return fail(Failure::kUsage,
                "only s3:// and the Hub can be pushed to, not " + base::quote(destination));
  }
  if (options.create_pr || options.make_private || !options.revision.empty()) {
    return fail(Failure::kUsage, "an object store knows no revision, pull request or privacy");
  }
  if (store.sign_as.empty()) {
    return fail(Failure::kAuthentication, "a push to " + base::quote(destination) +
                                              " needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  return store;
}

Result<void> digest(std::vector<PushFile>& files, DigestMemo& memo) {
  std::vector<DigestJob> jobs;
  std::vector<PushFile*> waiting;
  for (auto& file : files) {
    if (!file.sha256.empty()) continue;
    jobs.push_back({file.file, Digest::kSha256});
    waiting.push_back(&file);
  }
  FERRULE_CHECK(digest_files(jobs, memo));
  for (std::size_t i = 0; i < jobs.size(); ++i) waiting[i]->sha256 = jobs[i].sum;
  return {};
}

/// Sends the files, several at once, once what they replace is kept.
Result<void> send_files(Session& session, const ObjectStore& store,
                        const std::vector<const PushFile*>& files,
                        const std::map<std::string, RemoteFile>& known, const Watcher& watcher) {
  if (files.empty()) return {};
  Progress progress;
  for (const auto* file : files) {
    progress.bytes_total += file->size;
    ++progress.files_total;
    const auto old = known.find(file->path);
    if (old != known.end()) FERRULE_CHECK(keep(session.http, store, old->second));
  }
  Meter meter(watcher, progress);
  Stop stop;
  const S3Upload upload(store, session.lanes, stop, meter, list_unfinished(session.http, store));
  return together(files.size(), stop, [&](std::size_t i) -> Result<void> {
    FERRULE_CHECK(upload.send(*files[i]));
    meter.file_done();
    return {};
  });
}

}  // namespace

Result<PushReport> push_to_store(Session& session, const std::filesystem::path& directory,
                                 const std::string& destination, const PushOptions& options) {
  FERRULE_TRY(const auto store, open_for_push(destination, options));
  const auto watcher = one_at_a_time(options.watcher);
  session.http.watch(watcher);
  FERRULE_CHECK(check_adapter(directory, options));
  FERRULE_TRY(auto files, list_push_files(directory));
  take_digests(options.written, files);
  FERRULE_CHECK(digest(files, session.memo));
  FERRULE_TRY(const auto standing, read_manifest(session.http, store));
  std::map<std::string, RemoteFile> known;
  if (standing) {
    for (const auto& file : standing->files) known[file.path] = file;
  }
  PushReport out;
  out.repo = store.name;
  out.url = store.url;
  std::vector<const PushFile*> changed;
  for (const auto& file : files) {
    const auto found = known.find(file.path);
    if (found != known.end() && found->second.sha256 == file.sha256) {
      out.unchanged.push_back(file.path);
      continue;
    }
    if (file.size > kMaxS3Object) {
      return fail(Failure::kUploadRefused, "larger than the 5 TiB that an object of S3 may have",
                  file.file.string());
    }
    changed.push_back(&file);
    out.uploaded.push_back(file.path);
  }
  FERRULE_CHECK(send_files(session, store, changed, known, watcher));
  for (const auto& file : files) FERRULE_CHECK(check_unchanged(file));
  const auto text = manifest_text(files);
  out.commit = io::sha256_hex(text);
  remember(files, session.memo);
  if (!standing || standing->text != text) {
    TextBody body(text);
    FERRULE_CHECK(put(session.http, store, kManifest, body, out.commit));
  }
  return out;
}

Result<PullReport> pull_from_store(Session& session, const std::string& source,
                                   const PullOptions& options) {
  FERRULE_TRY(const auto store, ObjectStore::open(source));
  if (!options.revision.empty()) {
    return fail(Failure::kUsage, "an object store knows no revisions");
  }
  const auto watcher = one_at_a_time(options.watcher);
  session.http.watch(watcher);
  const auto own =
      session.settings.home / "ferrule" / "stores" / io::sha256_hex(store.name).substr(0, 32);
  PullReport out{.repo = store.name, .revision = {}, .commit = {}, .path = own, .files = {}};
  if (!options.output.empty()) out.path = options.output;
  FERRULE_TRY(const auto manifest, read_manifest(session.http, store));
  std::vector<RemoteFile> all;
  if (manifest) {
    all = manifest->files;
    out.commit = io::sha256_hex(manifest->text);
  } else {
    FERRULE_TRY(all,
                store.writable ? list_objects(session.http, store) : probe(session.http, store));
  }
  FERRULE_TRY(const auto files, choose_files(all, options.files, store.name));
  auto staging_path = own;
  staging_path += ".part";
  FERRULE_TRY(const auto staging, io::Folder::make(staging_path));
  Progress progress;
  for (const auto& file : files) progress.bytes_total += file.size;
  progress.files_total = files.size();
  Meter meter(watcher, progress);
  Stop stop;
  FERRULE_CHECK(together(files.size(), stop, [&](std::size_t i) -> Result<void> {
    FERRULE_CHECK(fetch_one(session, store, files[i], staging, stop, meter));
    meter.file_done();
    return {};
  }));
  for (const auto& file : files) out.files.push_back(file.path);
  FERRULE_CHECK(place_files(staging_path, files, out.path));
  std::error_code ignored;
  std::filesystem::remove_all(staging_path, ignored);
  return out;
}

}  // namespace ferrule::hub
