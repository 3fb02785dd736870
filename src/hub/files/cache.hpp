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

/// The folder of one repository in the cache, laid out as huggingface_hub 2.4 has it (docs/hub.md).
class RepoCache {
 public:
  /// Makes what is missing.
  static Result<RepoCache> make(const std::filesystem::path& cache, const std::string& repo_id);
  /// nullopt where nothing of the repository is cached.
  static Result<std::optional<RepoCache>> open(const std::filesystem::path& cache,
                                               const std::string& repo_id);

  /// The commit that the revision was when it was last pulled.
  std::optional<std::string> commit_of(const std::string& revision) const;
  Result<void> write_ref(const std::string& revision, const std::string& commit) const;

  /// All files of the commit, where a listing was kept.
  std::optional<std::vector<RemoteFile>> tree(const std::string& commit) const;
  Result<void> write_tree(const std::string& commit, const std::vector<RemoteFile>& files) const;

  /// What a snapshot holds, by its links, where no listing was kept.
  Result<std::vector<RemoteFile>> linked_files(const std::string& commit) const;

  std::filesystem::path snapshot_path(const std::string& commit) const;
  std::filesystem::path lock_path(const std::string& etag) const;

  /// Whether the blob of the file is there, and is what its name says: read in full, unless the
  /// memo knows the very same file.
  Result<bool> has_blob(const RemoteFile& file, DigestMemo& memo) const;
  /// The same for the file's place in the snapshot.
  Result<bool> has_file(const std::string& commit, const RemoteFile& file, DigestMemo& memo) const;
  /// Puts the blob into the snapshot.
  Result<void> place(const std::string& commit, const RemoteFile& file, bool symlinks) const;

  Result<io::Folder> blobs() const { return repo_.make_below("blobs"); }
  /// Where downloads grow: outside `blobs`, so that nobody takes them for whole.
  Result<io::Folder> partials() const { return repo_.make_below(".ferrule"); }

 private:
  RepoCache(std::filesystem::path root, std::string name, io::Folder repo)
      : root_(std::move(root)), name_(std::move(name)), repo_(std::move(repo)) {}

  std::filesystem::path root_;
  std::string name_;  // "models--namespace--name"
  io::Folder repo_;
};

/// Whether the open file has the content that the listing promises.
Result<bool> is_intact(const io::OpenedFile& opened, const std::filesystem::path& path,
                       const RemoteFile& file, DigestMemo& memo);

}  // namespace ferrule::hub
