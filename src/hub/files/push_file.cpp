// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_file.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/failure.hpp"
#include "io/input_file.hpp"
#include "io/walk.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kSampleBytes = 512;
constexpr std::size_t kMaxFiles = 20'000;

Result<PushFile> examine(const std::filesystem::path& file, std::string path) {
  if (!is_safe_path(path)) {
    return fail(Failure::kUnsafePath,
                "a repository cannot have a file of this name: " + quote(path), file.string());
  }
  FERRULE_TRY(const auto input, io::InputFile::open(file));
  PushFile out{.path = std::move(path), .file = file, .size = input.size()};
  FERRULE_TRY(out.identity, io::identity_of(input.fd(), file));
  out.sample.resize(static_cast<std::size_t>(std::min(kSampleBytes, out.size)));
  FERRULE_CHECK(input.read_at(0, std::as_writable_bytes(std::span(out.sample))));
  return out;
}

Result<void> collect(const std::filesystem::path& directory, const std::string& prefix,
                     std::vector<PushFile>& files) {
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  for (const auto& name : listing.files) {
    if (is_left_out(name)) continue;
    if (files.size() >= kMaxFiles) {
      return fail(Failure::kUsage, "more than " + std::to_string(kMaxFiles) + " files",
                  directory.string());
    }
    FERRULE_TRY(auto file, examine(directory / name, prefix + name));
    files.push_back(std::move(file));
  }
  for (const auto& name : listing.directories) {
    if (!is_left_out(name)) FERRULE_CHECK(collect(directory / name, prefix + name + "/", files));
  }
  return {};
}

}  // namespace

Result<std::vector<PushFile>> list_push_files(const std::filesystem::path& directory) {
  std::vector<PushFile> files;
  FERRULE_CHECK(collect(directory, "", files));
  std::sort(files.begin(), files.end(),
            [](const PushFile& a, const PushFile& b) { return a.path < b.path; });
  return files;
}

void take_digests(std::span<const WrittenFile> written, std::vector<PushFile>& files) {
  for (auto& file : files) {
    const auto found = std::find_if(written.begin(), written.end(), [&](const WrittenFile& one) {
      return one.device == file.identity.device && one.inode == file.identity.inode &&
             one.size == file.identity.size && one.modified_ns == file.identity.modified_ns;
    });
    if (found == written.end()) continue;
    file.sha256 = found->sha256;
    file.git = found->git_blob;
    file.given = true;
  }
}

void remember(const std::vector<PushFile>& files, DigestMemo& memo) {
  for (const auto& file : files) {
    const auto looked = std::chrono::system_clock::now();
    if (!file.given || !check_unchanged(file)) continue;
    if (!file.sha256.empty()) memo.note(file.identity, Digest::kSha256, file.sha256, looked);
    if (!file.git.empty()) memo.note(file.identity, Digest::kGitBlob, file.git, looked);
  }
}

Result<void> check_unchanged(const PushFile& file) {
  FERRULE_TRY(const auto input, io::InputFile::open(file.file));
  FERRULE_TRY(const auto now, io::identity_of(input.fd(), file.file));
  if (now == file.identity) return {};
  return fail(Failure::kChanged, "the file changed while it was pushed; nothing was committed",
              file.file.string());
}

}  // namespace ferrule::hub
