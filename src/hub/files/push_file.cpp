// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_file.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/files/push_choice.hpp"
#include "hub/transport/failure.hpp"
#include "io/input_file.hpp"
#include "io/walk.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kSampleBytes = 512;
constexpr std::size_t kMaxFiles = 20'000;

Result<PushFile> examine(const io::InputFile& input, const std::filesystem::path& file,
                         std::string path) {
  if (!is_safe_path(path)) {
    return fail(Failure::kUnsafePath,
                "a repository cannot have a file of this name: " + quote(path), file.string());
  }
  PushFile out{.path = std::move(path), .file = file, .size = input.size()};
  FERRULE_TRY(out.identity, io::identity_of(input.fd(), file));
  out.sample.resize(static_cast<std::size_t>(std::min(kSampleBytes, out.size)));
  FERRULE_CHECK(input.read_at(0, std::as_writable_bytes(std::span(out.sample))));
  return out;
}

/// Lists folder after folder.
class Collector {
 public:
  explicit Collector(const PushOptions& options) : choice_(options) {}

  Result<void> collect(const std::filesystem::path& directory, const std::string& prefix) {
    FERRULE_TRY(auto listing, io::list_by_kind(directory));
    const auto folder = describe_push_folder(prefix, listing.files);
    for (const auto& name : listing.files) FERRULE_CHECK(take(directory / name, folder, name));
    for (const auto& name : listing.directories) {
      const auto why = choice_.why_not_folder(prefix + name);
      if (!why.empty()) {
        leave(prefix + name + "/", why);
        continue;
      }
      FERRULE_CHECK(collect(directory / name, prefix + name + "/"));
    }
    for (const auto& name : listing.linked) leave(prefix + name + "/", "a link to a folder");
    return {};
  }

  PushListing result() {
    std::sort(found_.files.begin(), found_.files.end(),
              [](const PushFile& a, const PushFile& b) { return a.path < b.path; });
    std::sort(found_.left_behind.begin(), found_.left_behind.end(),
              [](const LeftBehind& a, const LeftBehind& b) { return a.path < b.path; });
    return std::move(found_);
  }

 private:
  void leave(std::string path, std::string_view why) {
    found_.left_behind.push_back({std::move(path), std::string(why)});
  }

  Result<void> take(const std::filesystem::path& file, const PushFolder& folder,
                    const std::string& name) {
    if (found_.files.size() + found_.left_behind.size() >= kMaxFiles) {
      return fail(Failure::kUsage, "more than " + std::to_string(kMaxFiles) + " files",
                  file.parent_path().string());
    }
    // What stays behind whatever its size is not opened.
    auto why = choice_.why_not(folder, name, 0);
    if (why.empty()) {
      FERRULE_TRY(const auto input, io::InputFile::open(file));
      why = choice_.why_not(folder, name, input.size());
      if (why.empty()) {
        FERRULE_TRY(auto examined, examine(input, file, folder.prefix + name));
        found_.files.push_back(std::move(examined));
        return {};
      }
    }
    leave(folder.prefix + name, why);
    return {};
  }

  PushChoice choice_;
  PushListing found_;
};

}  // namespace

Result<PushListing> list_push_files(const std::filesystem::path& directory,
                                    const PushOptions& options) {
  Collector collector(options);
  FERRULE_CHECK(collector.collect(directory, ""));
  return collector.result();
}

PushReport dry_report(std::string destination, PushListing listing) {
  PushReport report;
  report.repo = std::move(destination);
  report.dry_run = true;
  for (auto& file : listing.files) report.selected.push_back(std::move(file.path));
  report.left_behind = std::move(listing.left_behind);
  return report;
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
