// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/digest_memo.hpp"
#include "hub/files/remote_file.hpp"
#include "io/folder.hpp"

namespace ferrule::hub {

/// The folder of one repository in the cache, laid out as huggingface_hub 2.4 lays it out, so that
/// both programs can use one cache at the same time (docs/hub.md):
///
///   CACHE/CACHEDIR.TAG                         marks the cache for backup programs
///   CACHE/.locks/models--NS--NAME/ETAG.lock    flock, held while that blob is downloaded
///   CACHE/models--NS--NAME/
///     refs/REVISION                            the 40 digits of its commit
///     trees/COMMIT.json                        the commit's files (cached_tree.hpp)
///     blobs/ETAG                               a file's content, named by its digest (HB-13)
///     snapshots/COMMIT/PATH                    a link ../../blobs/ETAG, or a second name of it
///     .ferrule/ETAG.partial                    a download that is not complete
///
/// A blob is written to .ferrule, checked, then renamed into `blobs`; its links come next, the ref
/// last. So a process that is killed leaves no blob that is wrong and no ref that is ahead of its
/// snapshot. No path is followed through a link in place of a folder (HB-14).
class RepoCache {
 public:
  /// Creates the folders that are missing.
  static Result<RepoCache> make(const std::filesystem::path& cache, const std::string& repo_id);
  /// nullopt if nothing of the repository is cached.
  static Result<std::optional<RepoCache>> open(const std::filesystem::path& cache,
                                               const std::string& repo_id);

  /// The commit that the revision named when it was last pulled.
  std::optional<std::string> commit_of(const std::string& revision) const;
  Result<void> write_ref(const std::string& revision, const std::string& commit) const;

  /// All files of the commit, if the cache has its list.
  std::optional<std::vector<RemoteFile>> tree(const std::string& commit) const;
  Result<void> write_tree(const std::string& commit, const std::vector<RemoteFile>& files) const;

  /// The files in a snapshot, read from its links, for a commit without a list.
  Result<std::vector<RemoteFile>> linked_files(const std::string& commit) const;

  std::filesystem::path snapshot_path(const std::string& commit) const;
  std::filesystem::path lock_path(const std::string& etag) const;

  /// Whether the file's blob is there and has the digest in its name. It is read in full, unless
  /// the memo has the digest of this very file.
  Result<bool> has_blob(const RemoteFile& file, DigestMemo& memo) const;
  /// The same for the file in the snapshot.
  Result<bool> has_file(const std::string& commit, const RemoteFile& file, DigestMemo& memo) const;
  /// Links the blob into the snapshot.
  Result<void> place(const std::string& commit, const RemoteFile& file, bool symlinks) const;

  Result<io::Folder> blobs() const { return repo_.make_below("blobs"); }
  /// For incomplete downloads: outside `blobs`, so that no reader takes them for complete.
  Result<io::Folder> partials() const { return repo_.make_below(".ferrule"); }

 private:
  RepoCache(std::filesystem::path root, std::string name, io::Folder repo)
      : root_(std::move(root)), name_(std::move(name)), repo_(std::move(repo)) {}

  std::filesystem::path root_;
  std::string name_;  // "models--namespace--name"
  io::Folder repo_;
};

/// Whether the open file has the size and digest that the listing gives.
Result<bool> is_intact(const io::OpenedFile& opened, const std::filesystem::path& path,
                       const RemoteFile& file, DigestMemo& memo);

}  // namespace ferrule::hub
