// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/pull.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/names.hpp"
#include "hub/files/place_files.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/listing.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/fetch.hpp"
#include "hub/transport/url.hpp"
#include "hub/transport/watcher.hpp"
#include "io/kind_at.hpp"

namespace ferrule::hub {
namespace {

// Python's filelock polls too. A wait in the kernel could not be canceled.
constexpr std::chrono::milliseconds kLockPoll{50};

/// Failures after which the cache is used: the Hub could not say what is newer.
bool leaves_cache_valid(const Error& error) {
  return is(error, Failure::kNetwork) || is(error, Failure::kServer) ||
         is(error, Failure::kRateLimited) || is(error, Failure::kBadAnswer);
}

}  // namespace

Pull::Pull(Session& session, const std::string& repo_id, const PullOptions& options)
    : session_(session),
      options_(options),
      repository_(session.http, repo_id),
      revision_(options.revision.empty() ? "main" : options.revision),
      cache_path_(options.cache.empty() ? session.settings.cache : options.cache) {}

Result<PullReport> Pull::run() {
  FERRULE_CHECK(begin());
  return take(options_.files);
}

Result<void> Pull::begin() {
  from_cache_ = options_.offline || session_.settings.offline;
  if (from_cache_) return look_in_cache();
  auto resolved = resolve();
  if (resolved || !leaves_cache_valid(resolved.error())) return resolved;
  if (!look_in_cache()) return resolved;
  from_cache_ = true;
  no_answer_ = std::move(resolved).error();
  return {};
}

Result<PullReport> Pull::take(const std::vector<std::string>& names) {
  if (from_cache_) {
    auto cached = take_cached(names);
    if (!no_answer_) return cached;
    if (!cached) return *no_answer_;
    if (options_.watcher.warning) {
      options_.watcher.warning(no_answer_->message + "; the files in the cache are used instead");
    }
    return cached;
  }
  FERRULE_TRY(const auto files, choose_files(files_, names, where()));
  FERRULE_CHECK(download(files));
  FERRULE_CHECK(cache_->write_ref(revision_, commit_));
  return report(files);
}

std::string Pull::where() const { return repository_.id() + " at " + revision_; }

/// Asks for the commit and the list of its files.
Result<void> Pull::resolve() {
  if (is_commit(revision_)) {
    commit_ = revision_;
  } else {
    FERRULE_TRY(const auto info, repository_.info(revision_));
    commit_ = text_member(info, "sha");
    if (!is_commit(commit_)) {
      return fail(Failure::kBadAnswer, where() + ": the answer does not contain a commit");
    }
  }
  FERRULE_TRY(auto known, RepoCache::open(cache_path_, repository_.id()));
  if (known) {
    if (auto tree = known->tree(commit_)) {
      files_ = std::move(*tree);
      cache_ = std::move(known);
      // A cache that was opened may lack folders that a download needs.
      FERRULE_TRY(cache_, RepoCache::make(cache_path_, repository_.id()));
      return {};
    }
  }
  FERRULE_TRY(files_, list_files(repository_, commit_));
  FERRULE_TRY(cache_, RepoCache::make(cache_path_, repository_.id()));
  return cache_->write_tree(commit_, files_);
}

Result<void> Pull::download(const std::vector<RemoteFile>& files) {
  Progress progress;
  std::vector<const RemoteFile*> missing;
  for (const auto& file : files) {
    FERRULE_TRY(const bool placed, cache_->has_file(commit_, file, session_.memo));
    if (placed) continue;
    FERRULE_TRY(const bool there, cache_->has_blob(file, session_.memo));
    if (there) {
      FERRULE_CHECK(cache_->place(commit_, file, session_.settings.symlinks));
      continue;
    }
    missing.push_back(&file);
    progress.bytes_total += file.size;
    ++progress.files_total;
  }
  Meter meter(options_.watcher, progress);
  Stop stop;
  const auto fetch_and_place = [&](std::size_t i) -> Result<void> {
    const auto& file = *missing[i];
    FERRULE_CHECK(download(file, stop, meter));
    FERRULE_CHECK(cache_->place(commit_, file, session_.settings.symlinks));
    meter.file_done();
    return {};
  };
  // One small file goes first: if it was redirected, the others skip that step.
  const auto first =
      std::find_if(missing.begin(), missing.end(), [](const auto* file) { return !file->large(); });
  if (first != missing.end()) {
    std::iter_swap(missing.begin(), first);
    FERRULE_CHECK(fetch_and_place(0));
    missing.erase(missing.begin());
  }
  return together(missing.size(), stop, fetch_and_place);
}

/// The Hub redirects small files of public repositories to its own cache. After the first such
/// redirect, the others are fetched from there directly.
std::string Pull::source_url(const RemoteFile& file, bool short_way) const {
  const auto path = percent_encode(file.path, true);
  if (!short_way || file.large()) return repository_.page("/resolve/" + commit_ + "/" + path);
  const auto place = "/" + repository_.id() + "/resolve/" + commit_ + "/" + file.path;
  return session_.settings.endpoint + "/api/resolve-cache/models/" +
         percent_encode(repository_.id(), true) + "/" + commit_ + "/" + path + "?" +
         percent_encode(place, false) + "=&etag=%22" + file.blob + "%22";
}

/// Waits for another process that fetches the same blob.
Result<io::FileLock> Pull::lock(const RemoteFile& file, const Stop& stop) {
  for (;;) {
    FERRULE_TRY(auto lock, io::FileLock::try_acquire(cache_->lock_path(file.etag())));
    if (lock) return std::move(*lock);
    FERRULE_CHECK(session_.lanes.take(stop)->pause(kLockPoll));
  }
}

/// Under the blob's lock, so that it is fetched once, however many processes want it.
Result<void> Pull::download(const RemoteFile& file, const Stop& stop, Meter& meter) {
  FERRULE_TRY(const auto lock, this->lock(file, stop));
  FERRULE_TRY(const bool there, cache_->has_blob(file, session_.memo));
  if (there) {
    meter.add(static_cast<std::int64_t>(file.size));
    return {};
  }
  FERRULE_TRY(const auto partials, cache_->partials());
  FERRULE_TRY(const auto blobs, cache_->blobs());
  Source source{.url = source_url(file, serves_cached_),
                .what = file.path + " of " + where(),
                .size = file.size,
                .with_token = true};
  const auto name = file.etag() + ".partial";
  for (int tried = 1;; ++tried) {
    {
      FERRULE_TRY(auto partial, io::PartialFile::open(partials, name));
      const auto address = fetch(*session_.lanes.take(stop), source, partial, meter);
      if (!address) {
        // The short way was a guess, from what another file took.
        const auto plain = source_url(file, false);
        if (source.url == plain || is(address.error(), Failure::kNetwork)) return address.error();
        serves_cached_ = false;
        source.url = plain;
        --tried;
        continue;
      }
      const auto short_way = session_.settings.endpoint + "/api/resolve-cache/";
      if (!file.large() && address->rfind(short_way, 0) == 0) serves_cached_ = true;
      FERRULE_CHECK(partial.flush());
    }
    FERRULE_TRY(const auto opened, partials.open_file(name));
    if (opened) {
      FERRULE_TRY(const bool intact,
                  is_intact(*opened, partials.path() / name, file, session_.memo));
      if (intact) return partials.move_to(name, blobs, file.etag());
    }
    FERRULE_CHECK(partials.remove(name));
    if (tried >= 2) {
      return fail(Failure::kIntegrity, source.what +
                                           ": the content does not match the listing, expected " +
                                           (file.large() ? "sha256 " : "git blob ") + file.etag());
    }
    meter.add(-static_cast<std::int64_t>(file.size));
  }
}

/// The commit and its files as the cache knows them, without a request.
Result<void> Pull::look_in_cache() {
  FERRULE_TRY(cache_, RepoCache::open(cache_path_, repository_.id()));
  const auto commit = cache_ ? cache_->commit_of(revision_) : std::nullopt;
  if (!commit) {
    return fail(Failure::kOffline, where() + " is not in the cache, and no request is made offline",
                cache_path_.string());
  }
  commit_ = *commit;
  if (auto tree = cache_->tree(commit_)) {
    files_ = std::move(*tree);
  } else {
    FERRULE_TRY(files_, cache_->linked_files(commit_));
  }
  if (files_.empty()) {
    return fail(Failure::kIncomplete, where() + ": the cache has no file of it",
                cache_->snapshot_path(commit_).string());
  }
  return {};
}

/// Whole and undamaged, or an error.
Result<PullReport> Pull::take_cached(const std::vector<std::string>& names) {
  FERRULE_TRY(const auto files, choose_files(files_, names, where() + " in the cache"));
  for (const auto& file : files) FERRULE_CHECK(require_cached(file));
  return report(files);
}

Result<void> Pull::require_cached(const RemoteFile& file) {
  FERRULE_TRY(const bool placed, cache_->has_file(commit_, file, session_.memo));
  if (placed) return {};
  const auto path = (cache_->snapshot_path(commit_) / file.path).string();
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kNothing) {
    return fail(Failure::kIncomplete,
                where() + ": the cached snapshot is incomplete, " + quote(file.path) +
                    " is missing; pull again while online",
                path);
  }
  return fail(Failure::kIntegrity,
              "the cached file is damaged, expected " +
                  std::string(file.large() ? "sha256 " : "git blob ") + file.etag() +
                  "; pull again while online",
              path);
}

Result<PullReport> Pull::report(const std::vector<RemoteFile>& files) {
  PullReport out;
  out.repo = repository_.id();
  out.revision = revision_;
  out.commit = commit_;
  out.path = cache_->snapshot_path(commit_);
  for (const auto& file : files) out.files.push_back(file.path);
  if (options_.output.empty()) return out;
  FERRULE_CHECK(place_files(out.path, files, options_.output));
  out.path = options_.output;
  return out;
}

Result<PullReport> pull_from_repository(Session& session, const std::string& repo_id,
                                        const PullOptions& options) {
  FERRULE_CHECK(check_repo_id(repo_id));
  if (!options.revision.empty()) FERRULE_CHECK(check_revision(options.revision));
  auto heard = options;
  heard.watcher = one_at_a_time(options.watcher);
  session.http.watch(heard.watcher);
  return Pull(session, repo_id, heard).run();
}

}  // namespace ferrule::hub
