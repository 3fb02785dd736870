// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/transport/meter.hpp"
#include "io/file_lock.hpp"

namespace ferrule::hub {

/// One pull from the Hub into the cache:
///
///   1. Revision to commit: GET /api/models/ID/revision/REVISION; a commit needs no request.
///   2. Commit to files: trees/COMMIT.json of the cache, or GET .../tree/COMMIT page by page. Every
///      path and hash is checked before anything is written (HB-12, HB-14).
///   3. For each file that the snapshot does not have: if its blob is cached and intact, link it.
///      Otherwise, under the blob's lock, GET /resolve/COMMIT/PATH with a Range that begins after
///      the bytes of an earlier try, compare the digest (HB-13; one more try if it differs), and
///      rename the file into `blobs`.
///   4. Write the ref (cache.hpp), then copy to PullOptions::output, all or none.
///
/// Offline (HB-2), or if the Hub does not answer in step 1 or 2, steps 1 and 2 read the cache and
/// step 3 checks every file and downloads none (HB-13, HB-20).
class Pull {
 public:
  /// Keeps references to both.
  Pull(Session& session, const std::string& repo_id, const PullOptions& options);

  /// begin(), then take() of the files that the options name.
  Result<PullReport> run();

  /// Decides which commit is pulled and what its files are. From here on nothing that happens to
  /// the branch matters. Offline, or if the Hub does not answer, both come from the cache.
  Result<void> begin();

  /// Fetches files of that commit by their paths (all of them if none is named), or finds them
  /// whole in the cache. May be called more than once after begin().
  Result<PullReport> take(const std::vector<std::string>& names);

  // Valid after begin().
  const std::string& commit() const noexcept { return commit_; }
  const std::vector<RemoteFile>& files() const noexcept { return files_; }
  const Repository& repository() const noexcept { return repository_; }
  RepoCache& cache() noexcept { return *cache_; }
  bool is_from_cache() const noexcept { return from_cache_; }

 private:
  Result<void> download(const std::vector<RemoteFile>& files);
  Result<void> download(const RemoteFile& file, const Stop& stop, Meter& meter);
  Result<io::FileLock> lock(const RemoteFile& file, const Stop& stop);
  std::string source_url(const RemoteFile& file, bool short_way) const;
  Result<void> resolve();
  Result<void> look_in_cache();
  Result<PullReport> take_cached(const std::vector<std::string>& names);
  Result<void> require_cached(const RemoteFile& file);
  Result<PullReport> report(const std::vector<RemoteFile>& files);
  std::string where() const;

  Session& session_;
  const PullOptions& options_;
  Repository repository_;
  std::string revision_;
  std::filesystem::path cache_path_;
  std::optional<RepoCache> cache_;
  std::string commit_;
  std::vector<RemoteFile> files_;
  bool from_cache_ = false;
  std::optional<Error> no_answer_;          // Why it is from the cache, unless that was asked for.
  std::atomic<bool> serves_cached_{false};  // See source_url().
};

/// HubClient::pull() from a repository of the Hub.
Result<PullReport> pull_from_repository(Session& session, const std::string& repo_id,
                                        const PullOptions& options);

}  // namespace ferrule::hub
