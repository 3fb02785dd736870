// SPDX-License-Identifier: Apache-2.0
#include "io/digesting_file.hpp"

namespace ferrule::io {

Result<void> DigestingFile::write(std::span<const std::span<const std::byte>> pieces) {
  for (const auto& piece : pieces) sum_.update(piece);
  return file_.write(pieces);
}

Result<void> DigestingFile::write_at(std::uint64_t offset, std::span<const std::byte> piece) {
  overwritten_ = true;
  return file_.write_at(offset, piece);
}

std::optional<std::string> DigestingFile::sha256() {
  if (overwritten_) return std::nullopt;
  return to_hex(sum_.finish());
}

}  // namespace ferrule::io
