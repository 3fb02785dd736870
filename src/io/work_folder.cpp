// SPDX-License-Identifier: Apache-2.0
#include "io/work_folder.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <charconv>
#include <utility>

#include "base/try.hpp"
#include "io/partial_file.hpp"
#include "io/remove_tree.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {
namespace {

constexpr const char* kJournal = "journal";
constexpr std::uint64_t kMaxJournalBytes = 16'000'000;

/// The next word of the line, up to a blank or its end.
std::string_view take_word(std::string_view& line) {
  const auto end = line.find(' ');
  const auto word = line.substr(0, end);
  line = end == line.npos ? std::string_view() : line.substr(end + 1);
  return word;
}

}  // namespace

Result<WorkFolder> WorkFolder::open(const std::filesystem::path& directory,
                                    std::string_view purpose, bool resume, Durability durability) {
  auto plain = std::filesystem::absolute(directory).lexically_normal();
  if (!plain.has_filename()) plain = plain.parent_path();
  FERRULE_TRY(auto parent, Folder::make(plain.parent_path()));
  auto name = "." + plain.filename().string() + ".ferrule-work";
  if (resume) {
    FERRULE_TRY(auto folder, parent.make_below(name));
    WorkFolder work(std::move(folder), std::move(parent), name, durability);
    FERRULE_TRY(const bool same, work.read_journal(purpose));
    if (same) return work;
    parent = std::move(work.parent_);
  }
  FERRULE_CHECK(remove_tree(parent.fd(), name, parent.path() / name));
  FERRULE_TRY(auto folder, parent.make_below(name));
  WorkFolder work(std::move(folder), std::move(parent), std::move(name), durability);
  FERRULE_CHECK(append_line(work.folder_, kJournal, std::string(purpose) + "\n"));
  return work;
}

/// False if it is of another work. A torn last line is none.
Result<bool> WorkFolder::read_journal(std::string_view purpose) {
  FERRULE_TRY(const auto file, folder_.open_file(kJournal));
  if (!file) return false;
  FERRULE_TRY(const auto text, read_opened(*file, kMaxJournalBytes, path() / kJournal));
  std::string_view rest = text;
  bool first = true;
  while (true) {
    const auto end = rest.find('\n');
    if (end == rest.npos) return !first;
    auto line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      if (line != purpose) return false;
      continue;
    }
    Done done;
    const auto bytes = take_word(line);
    if (std::from_chars(bytes.data(), bytes.data() + bytes.size(), done.bytes).ec != std::errc()) {
      continue;
    }
    done.sum = take_word(line);
    done_[std::string(line)] = std::move(done);
  }
}

std::optional<WorkFolder::Done> WorkFolder::done(const std::string& name) const {
  const auto found = done_.find(name);
  return found == done_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::optional<OpenedFile>> WorkFolder::look_at(const std::string& name) const {
  return folder_.open_file(name);
}

Result<std::unique_ptr<StagedFile>> WorkFolder::create(const std::string& name) {
  done_.erase(name);
  FERRULE_CHECK(folder_.remove(name));
  UniqueFd fd(uninterrupted([&] {
    return sys().openat(folder_.fd(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
  }));
  if (!fd) return system_error(errno, "cannot create a file", path() / name);
  return std::make_unique<StagedFile>(std::move(fd), path() / name, durability_);
}

Result<void> WorkFolder::finish(const std::string& name, StagedFile& file, const std::string& sum) {
  const auto bytes = file.bytes_written();
  FERRULE_CHECK(file.finish());
  FERRULE_CHECK(
      append_line(folder_, kJournal, std::to_string(bytes) + " " + sum + " " + name + "\n"));
  done_[name] = {.bytes = bytes, .sum = sum};
  return {};
}

Result<void> WorkFolder::remove() {
  return remove_tree(parent_.fd(), name_, parent_.path() / name_);
}

std::optional<Room> room_at(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  auto at = std::filesystem::absolute(path, ignored);
  struct statvfs info {};
  while (::statvfs(at.c_str(), &info) != 0) {
    if (!at.has_relative_path()) return std::nullopt;
    at = at.parent_path();
  }
  struct stat there {};
  if (::stat(at.c_str(), &there) != 0) return std::nullopt;
  return Room{.free_bytes = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize,
              .device = static_cast<std::uint64_t>(there.st_dev)};
}

}  // namespace ferrule::io
