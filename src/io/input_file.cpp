// SPDX-License-Identifier: Apache-2.0
#include "io/input_file.hpp"

#include <fcntl.h>

#include "base/try.hpp"

namespace ferrule::io {

Result<InputFile> InputFile::open(const std::filesystem::path& path) {
  FERRULE_TRY(auto opened, open_regular(AT_FDCWD, path.c_str(), path));
  return InputFile(std::move(opened), path);
}

Result<void> InputFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  return read_fully(fd(), offset, out, path_);
}

Result<std::string> InputFile::read_text(std::uint64_t limit) const {
  return read_opened(file_, limit, path_);
}

}  // namespace ferrule::io
