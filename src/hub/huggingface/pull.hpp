// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/hub.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/transport/meter.hpp"
#include "io/file_lock.hpp"

namespace ferrule::hub {

/// One pull from the Hub into the cache.
class Pull {
 public:
  Pull(Session& session, const std::string& repo_id, const PullOptions& options);

  Result<PullReport> run();

  /// The first half of run(): asks for the commit and its files, and downloads nothing.
  Result<void> resolve();
  const std::string& commit() const noexcept { return commit_; }
  const std::vector<RemoteFile>& files() const noexcept { return files_; }
  const Repository& repository() const noexcept { return repository_; }
  RepoCache& cache() noexcept { return *cache_; }

 private:
  Result<void> download(const std::vector<RemoteFile>& files);
  Result<void> download(const RemoteFile& file, const Stop& stop, Meter& meter);
  Result<io::FileLock> lock(const RemoteFile& file, const Stop& stop);
  std::string source_url(const RemoteFile& file, bool short_way) const;
  Result<PullReport> from_cache();
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
  std::atomic<bool> serves_cached_{false};  // See source_url().
};

}  // namespace ferrule::hub
