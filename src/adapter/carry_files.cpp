// SPDX-License-Identifier: Apache-2.0
#include "adapter/carry_files.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/try.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule::adapter {
namespace {

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

}  // namespace ferrule::adapter
