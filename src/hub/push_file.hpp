// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/digest_memo.hpp"
#include "hub/http.hpp"
#include "io/folder.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {

/// A file on its way to the Hub.
struct PushFile {
  std::string path;            ///< In the repository.
  std::filesystem::path file;  ///< Here.
  std::uint64_t size = 0;
  io::FileIdentity identity = {};
  std::string sample = {};  ///< The first 512 bytes.
  bool large = false;       ///< The Hub wants it by LFS.
  bool ignored = false;
  std::string remote = {};  ///< The digest that the Hub has under this path; empty for none.
  std::string sha256 = {};
  std::string git = {};
  bool given = false;  ///< The digests came from whoever wrote the file.

  const std::string& digest() const noexcept { return large ? sha256 : git; }
};

/// Everything below `directory` that a push sends, sorted by path: links to files as files, links
/// to folders not. Fails with HB-14 where a name cannot stand in a repository.
Result<std::vector<PushFile>> list_push_files(const std::filesystem::path& directory);

/// Takes over the digests of files that are still as they were written.
void take_digests(std::span<const WrittenFile> written, std::vector<PushFile>& files);

/// Fails with HB-19 where the file is no longer the one that was listed.
Result<void> check_unchanged(const PushFile& file);

/// Notes digests that were given: by now the files are old enough for it.
void remember(const std::vector<PushFile>& files, DigestMemo& memo);

/// The watcher, told of one thing at a time whatever threads speak.
Watcher one_at_a_time(const Watcher& watcher);

/// Adds up what several transfers do and tells the watcher.
class Meter {
 public:
  Meter(const Watcher& watcher, Progress start) : watcher_(watcher), progress_(start) {}
  void add(std::int64_t bytes);
  void file_done();

 private:
  const Watcher& watcher_;
  std::mutex mutex_;
  Progress progress_;
};

/// A piece of a file as the body of a request.
class FileBody final : public Body {
 public:
  FileBody(const io::InputFile& file, std::uint64_t begin, std::uint64_t size, Meter* meter)
      : file_(file), begin_(begin), size_(size), meter_(meter) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read(std::span<std::byte> out) override;
  Result<void> rewind() override;

 private:
  const io::InputFile& file_;
  std::uint64_t begin_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  Meter* meter_;
};

}  // namespace ferrule::hub
