// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/transaction/directory_reader.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {

/// Everything below a directory: kind, mode and content by path. Links are not followed.
using Tree = std::map<std::string, std::string>;

inline Tree tree_of(const std::filesystem::path& top) {
  Tree tree;
  if (!std::filesystem::exists(top)) return tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
    struct stat info {};
    if (::lstat(entry.path().c_str(), &info) != 0) continue;
    std::string what = std::to_string(info.st_mode & 07777) + " ";
    if (S_ISLNK(info.st_mode)) {
      what = "link " + std::filesystem::read_symlink(entry.path()).string();
    } else if (S_ISDIR(info.st_mode)) {
      what += "folder";
    } else if (S_ISREG(info.st_mode)) {
      what += "file " + read_file(entry.path());
    } else {
      what += "special";
    }
    tree.emplace(entry.path().lexically_relative(top).string(), what);
  }
  return tree;
}

/// A save of one file.
inline Result<void> put(const std::filesystem::path& directory, std::string_view name,
                        std::string_view content) {
  auto begun = io::DirectoryTransaction::begin(directory, Durability::kSafe);
  if (!begun) return std::move(begun).error();
  auto done = begun->create(name, content);
  if (done) done = begun->commit();
  return done;
}

inline std::vector<std::string> names(const std::filesystem::path& directory) {
  auto reader = io::DirectoryReader::open(directory);
  return reader ? reader->names().value() : std::vector<std::string>{"no directory"};
}

using Names = std::vector<std::string>;

/// What keeps a directory from being swapped.
enum class Obstacle { kNone, kExchangeBusy, kOtherMount, kClosedParent };

/// A situation and the save that changes it: from `before` to `after`, nothing else ever.
struct Scene {
  std::string name;
  bool exists = true;  ///< There is a directory with files of the user and an old save.
  Obstacle obstacle = Obstacle::kNone;
  std::string below = "out";  ///< The directory below the scene's own.
  bool standing = false;      ///< The saver's working directory is the target.
};

inline void PrintTo(const Scene& scene, std::ostream* out) { *out << scene.name; }

inline std::vector<Scene> scenes() {
  return {
      {"New", false},
      {"Over", true},
      {"MissingParents", false, Obstacle::kNone, "a/b/out"},
      {"Standing", true, Obstacle::kNone, "out", true},
      {"ExchangeBusy", true, Obstacle::kExchangeBusy},
      {"OtherMount", true, Obstacle::kOtherMount},
      {"ClosedParent", true, Obstacle::kClosedParent},
  };
}

inline constexpr mode_t kMask = 027;

inline void set_up(const Scene& scene, const std::filesystem::path& top) {
  if (!scene.exists) return;
  const auto out = top / scene.below;
  write_file(out / "weights", "old weights");
  write_file(out / "config", "old config");
  write_file(out / "weights.bin", "stale");
  write_file(out / "second/config", "old second");
  write_file(out / "notes.txt", "mine");
  write_file(out / ".hidden", "mine too");
  write_file(out / "checkpoint/deep/state", "{}");
  std::filesystem::create_symlink("notes.txt", out / "link");
  ::mkfifo((out / "fifo").c_str(), 0600);
  ::chmod((out / "weights").c_str(), 0604);
  ::chmod((out / "notes.txt").c_str(), 0640);
  ::chmod((out / "second").c_str(), 0711);
  ::chmod((out / "checkpoint/deep").c_str(), 0500);
  ::chmod(out.c_str(), 0751);
}

inline Result<void> save(const std::filesystem::path& directory, Durability durability,
                         const std::string& tag = "new") {
  auto begun = io::DirectoryTransaction::begin(directory, durability);
  if (!begun) return std::move(begun).error();
  auto file = begun->create("weights");
  if (!file) return std::move(file).error();
  auto done = (*file)->reserve(tag.size() + 8);
  const std::string pieces[] = {tag, "", " weights"};
  const std::span<const std::byte> views[] = {std::as_bytes(std::span(pieces[0])),
                                              std::as_bytes(std::span(pieces[1])),
                                              std::as_bytes(std::span(pieces[2]))};
  if (done) done = (*file)->write(views);
  if (done) done = begun->create("config", tag + " config");
  if (done) done = begun->create("second/config", tag + " second");
  if (done) done = begun->create("third/config", tag + " third");
  if (done) done = begun->remove("weights.bin");
  if (done) done = begun->commit();
  return done;
}

}  // namespace ferrule::test
