// SPDX-License-Identifier: Apache-2.0
#include "hub/files/cache.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text_file.hpp"
#include "hub/files/cached_tree.hpp"
#include "hub/files/names.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMaxTreeBytes = 8U << 20U;
constexpr int kMaxDepth = 16;

// The words are huggingface_hub's, so that it makes no difference which program came first.
constexpr const char* kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

std::string folder_name(const std::string& repo_id) {
  std::string name = "models--" + repo_id;
  if (const auto slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

/// "a/b/c" as "a/b" and "c".
std::pair<std::string, std::string> split_path(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

/// Paths of what is below the folder, links as files.
Result<void> collect(const io::Folder& folder, const std::string& prefix, int depth,
                     std::vector<RemoteFile>& files) {
  FERRULE_TRY(const auto names, folder.names());
  for (const auto& name : names) {
    FERRULE_TRY(const auto kind, folder.look(name));
    if (kind == io::EntryKind::kFolder && depth < kMaxDepth) {
      FERRULE_TRY(const auto inner, folder.open_below(name));
      if (inner) FERRULE_CHECK(collect(*inner, prefix + name + "/", depth + 1, files));
      continue;
    }
    FERRULE_TRY(const auto target, folder.read_link(name));
    RemoteFile file{.path = prefix + name};
    const auto etag = target ? split_path(*target).second : std::string();
    if (is_hex(etag, 40)) file.blob = etag;
    if (is_hex(etag, 64)) file.sha256 = etag;
    FERRULE_TRY(const auto opened, folder.open_file(name));
    if (opened) file.size = opened->size;
    files.push_back(std::move(file));
  }
  return {};
}

}  // namespace

Result<bool> is_intact(const io::OpenedFile& opened, const std::filesystem::path& path,
                       const RemoteFile& file, DigestMemo& memo) {
  if (opened.size != file.size) return false;
  const auto digest = file.large() ? Digest::kSha256 : Digest::kGitBlob;
  FERRULE_TRY(const auto sum, digest_file(opened, path, digest, memo));
  return file.etag().empty() || sum == file.etag();
}

Result<RepoCache> RepoCache::make(const std::filesystem::path& cache, const std::string& repo_id) {
  FERRULE_TRY(const auto root, io::Folder::make(cache));
  FERRULE_TRY(const auto tag, root.look("CACHEDIR.TAG"));
  if (tag == io::EntryKind::kNothing) FERRULE_CHECK(root.write("CACHEDIR.TAG", kCacheTag));
  const auto name = folder_name(repo_id);
  FERRULE_TRY(const auto locks, root.make_below(".locks/" + name));
  FERRULE_TRY(auto repo, root.make_below(name));
  return RepoCache(cache, name, std::move(repo));
}

Result<std::optional<RepoCache>> RepoCache::open(const std::filesystem::path& cache,
                                                 const std::string& repo_id) {
  const auto name = folder_name(repo_id);
  FERRULE_TRY(const auto root, io::Folder::open(cache));
  if (!root) return std::optional<RepoCache>();
  FERRULE_TRY(auto repo, root->open_below(name));
  if (!repo) return std::optional<RepoCache>();
  return std::optional<RepoCache>(RepoCache(cache, name, std::move(*repo)));
}

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  auto text = read_text_file(repo_.path() / "refs" / revision, 4096);
  if (!text) return std::nullopt;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  if (!is_commit(*text)) return std::nullopt;
  return std::move(*text);
}

Result<void> RepoCache::write_ref(const std::string& revision, const std::string& commit) const {
  if (is_commit(revision) || commit_of(revision) == commit) return {};
  const auto [folder, name] = split_path("refs/" + revision);
  FERRULE_TRY(const auto refs, repo_.make_below(folder));
  return refs.write(name, commit);
}

std::optional<std::vector<RemoteFile>> RepoCache::tree(const std::string& commit) const {
  const auto text = read_text_file(repo_.path() / "trees" / (commit + ".json"), kMaxTreeBytes);
  if (!text) return std::nullopt;
  auto files = parse_tree(*text);
  if (!files) return std::nullopt;
  return std::move(*files);
}

Result<void> RepoCache::write_tree(const std::string& commit,
                                   const std::vector<RemoteFile>& files) const {
  FERRULE_TRY(const auto trees, repo_.make_below("trees"));
  return trees.write(commit + ".json", tree_text(files));
}

Result<std::vector<RemoteFile>> RepoCache::linked_files(const std::string& commit) const {
  std::vector<RemoteFile> files;
  FERRULE_TRY(const auto folder, repo_.open_below("snapshots/" + commit));
  if (folder) FERRULE_CHECK(collect(*folder, "", 0, files));
  FERRULE_CHECK(check_listing(files));
  return files;
}

std::filesystem::path RepoCache::snapshot_path(const std::string& commit) const {
  return repo_.path() / "snapshots" / commit;
}

std::filesystem::path RepoCache::lock_path(const std::string& etag) const {
  return root_ / ".locks" / name_ / (etag + ".lock");
}

Result<bool> RepoCache::has_blob(const RemoteFile& file, DigestMemo& memo) const {
  FERRULE_TRY(const auto folder, repo_.open_below("blobs"));
  if (!folder) return false;
  FERRULE_TRY(const auto opened, folder->open_file(file.etag()));
  if (!opened) return false;
  return is_intact(*opened, folder->path() / file.etag(), file, memo);
}

Result<bool> RepoCache::has_file(const std::string& commit, const RemoteFile& file,
                                 DigestMemo& memo) const {
  const auto [inner, name] = split_path("snapshots/" + commit + "/" + file.path);
  FERRULE_TRY(const auto folder, repo_.open_below(inner));
  if (!folder) return false;
  FERRULE_TRY(const auto kind, folder->look(name));
  if (kind != io::EntryKind::kFile && kind != io::EntryKind::kLink) return false;
  FERRULE_TRY(const auto opened, folder->open_file(name));
  if (!opened) return false;
  return is_intact(*opened, folder->path() / name, file, memo);
}

Result<void> RepoCache::place(const std::string& commit, const RemoteFile& file,
                              bool symlinks) const {
  const auto [inner, name] = split_path("snapshots/" + commit + "/" + file.path);
  FERRULE_TRY(const auto folder, repo_.make_below(inner));
  std::string target = "blobs/" + file.etag();
  const auto depth = std::count(inner.begin(), inner.end(), '/') + 1;
  for (auto i = depth; i > 0; --i) target.insert(0, "../");
  if (symlinks) {
    FERRULE_TRY(const auto standing, folder.read_link(name));
    if (standing == target) return {};
    if (folder.link(name, target)) return {};
  }
  FERRULE_TRY(const auto source, blobs());
  return source.hard_link(file.etag(), folder, name);
}

}  // namespace ferrule::hub
