// SPDX-License-Identifier: Apache-2.0
#include "hub/files/place_files.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/try.hpp"
#include "hub/transport/failure.hpp"
#include "io/digest.hpp"
#include "io/input_file.hpp"
#include "io/transaction/directory_transaction.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kCopiedAtOnce = 1U << 20U;

Result<void> copy(const std::filesystem::path& from, const RemoteFile& file, io::OutputFile& out) {
  FERRULE_TRY(const auto input, io::InputFile::open(from));
  io::Sha256 sha256;
  auto sha1 = io::git_blob(input.size());
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min(kCopiedAtOnce, input.size() + 1)));
  for (std::uint64_t at = 0; at < input.size();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), input.size() - at));
    const std::span<std::byte> piece(buffer.data(), size);
    FERRULE_CHECK(input.read_at(at, piece));
    if (file.large()) {
      sha256.update(piece);
    } else {
      sha1.update(piece);
    }
    FERRULE_CHECK(out.write(std::span<const std::byte>(piece)));
    at += size;
  }
  const auto sum = file.large() ? io::to_hex(sha256.finish()) : io::to_hex(sha1.finish());
  if (file.etag().empty() || sum == file.etag()) return {};
  return fail(Failure::kIntegrity, "the cached file changed while it was copied", from.string());
}

}  // namespace

Result<void> place_files(const std::filesystem::path& snapshot,
                         const std::vector<RemoteFile>& files,
                         const std::filesystem::path& output) {
  FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output, Durability::kSafe));
  for (const auto& file : files) {
    FERRULE_TRY(auto* out, transaction.create(file.path));
    FERRULE_CHECK(copy(snapshot / file.path, file, *out));
  }
  return transaction.commit();
}

}  // namespace ferrule::hub
