// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/push_to_store.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/push_check.hpp"
#include "hub/files/push_file.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/object_store/object_manifest.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/object_store/s3_upload.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/meter.hpp"
#include "hub/transport/watcher.hpp"
#include "io/digest.hpp"

namespace ferrule::hub {
namespace {

Result<void> put(Http& http, const ObjectStore& store, const std::string& path, Body& body,
                 const std::string& sha256) {
  auto request = store.request(Method::kPut, path, sha256);
  request.body = &body;
  request.headers.emplace_back("Content-Type", "application/octet-stream");
  request.silence = std::max(http.settings().transfer_timeout, http.settings().answer_timeout);
  FERRULE_TRY(const auto response, http.require(request));
  return {};
}

/// Copies an object that the current manifest lists to its kept name, before another replaces it. A
/// reader that has that manifest finds it there, during the push and after one that failed.
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

Result<ObjectStore> open_for_push(const std::string& destination, const PushOptions& options) {
  FERRULE_TRY(auto store, ObjectStore::open(destination));
  if (!store.writable) {
    return fail(Failure::kUsage,
                "only s3:// and the Hub can be pushed to, not " + quote(destination));
  }
  if (options.create_pr || options.privacy != Privacy::kDefault || !options.revision.empty()) {
    return fail(Failure::kUsage,
                "an object store does not have revisions, pull requests or privacy");
  }
  if (store.sign_as.empty()) {
    return fail(Failure::kAuthentication, "a push to " + quote(destination) +
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

/// Keeps what the files replace, then sends them, several at a time.
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
  FERRULE_CHECK(verify_for_push(directory, options));
  FERRULE_TRY(auto listing, list_push_files(directory, options));
  if (options.dry_run) return dry_report(destination, std::move(listing));
  FERRULE_TRY(const auto store, open_for_push(destination, options));
  const auto watcher = one_at_a_time(options.watcher);
  session.http.watch(watcher);
  auto& files = listing.files;
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
    out.selected.push_back(file.path);
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
  out.left_behind = std::move(listing.left_behind);
  return out;
}

}  // namespace ferrule::hub
