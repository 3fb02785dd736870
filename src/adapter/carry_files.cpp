// SPDX-License-Identifier: Apache-2.0
#include "adapter/carry_files.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule::adapter {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kCopyPiece = std::size_t{1} << 20;

Result<void> copy_file(const io::InputFile& from, io::OutputFile& to,
                       std::vector<std::byte>& buffer) {
  FERRULE_CHECK(to.reserve(from.size()));
  buffer.resize(kCopyPiece);
  for (std::uint64_t at = 0; at < from.size(); at += kCopyPiece) {
    const auto piece = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(kCopyPiece, from.size() - at)));
    FERRULE_CHECK(from.read_at(at, piece));
    FERRULE_CHECK(to.write(piece));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> carry_files(const io::DirectoryReader& reader,
                                             std::span<const std::string> names,
                                             std::span<const std::string_view> except,
                                             const std::string& prefix,
                                             io::DirectoryTransaction& transaction) {
  std::vector<std::byte> buffer;
  std::vector<std::string> copied;
  for (const auto& name : names) {
    if (std::find(except.begin(), except.end(), name) != except.end()) continue;
    FERRULE_TRY(const auto file, reader.open_file(name));
    if (!file) continue;  // It went away since it was listed, as it might have a moment before.
    FERRULE_TRY(auto* copy, transaction.create(prefix + name));
    FERRULE_CHECK(copy_file(*file, *copy, buffer));
    copied.push_back(name);
  }
  return copied;
}

Result<io::Listing> list_carried(const std::filesystem::path& directory, int depth) {
  if (depth > kMaxDepth) {
    return base::at(base::over_limit("folders are nested deeper than " + std::to_string(kMaxDepth) +
                                     " levels, and are not carried"),
                    directory);
  }
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.directories.begin(), listing.directories.end());
  return listing;
}

namespace {

Result<void> carry_folder(const std::filesystem::path& directory, const std::string& inside,
                          const std::string& prefix, int depth,
                          io::DirectoryTransaction& transaction, std::vector<std::string>& copied) {
  FERRULE_TRY(const auto listing, list_carried(directory, depth));
  FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
  FERRULE_TRY(auto names,
              carry_files(reader, listing.files, {}, prefix + inside + "/", transaction));
  for (auto& name : names) copied.push_back(inside + "/" + std::move(name));
  for (const auto& name : listing.directories) {
    FERRULE_CHECK(carry_folder(directory / name, inside + "/" + name, prefix, depth + 1,
                               transaction, copied));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> carry_folders(const std::filesystem::path& directory,
                                               std::span<const std::string> except,
                                               const std::string& prefix,
                                               io::DirectoryTransaction& transaction) {
  FERRULE_TRY(auto listing, io::list_by_kind(directory));
  std::sort(listing.directories.begin(), listing.directories.end());
  std::vector<std::string> copied;
  for (const auto& name : listing.directories) {
    if (name.starts_with('.') || std::find(except.begin(), except.end(), name) != except.end()) {
      continue;
    }
    FERRULE_CHECK(carry_folder(directory / name, name, prefix, 1, transaction, copied));
  }
  return copied;
}

}  // namespace ferrule::adapter
