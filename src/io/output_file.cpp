// SPDX-License-Identifier: Apache-2.0
#include "io/output_file.hpp"

namespace ferrule::io {

OutputFile::~OutputFile() = default;

Result<void> OutputFile::write(std::span<const std::byte> piece) {
  return write(std::span<const std::span<const std::byte>>(&piece, 1));
}

}  // namespace ferrule::io
