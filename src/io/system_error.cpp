// SPDX-License-Identifier: Apache-2.0
#include "io/system_error.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "base/errors.hpp"

namespace ferrule::io {

Error system_error(int number, std::string_view what, const std::filesystem::path& path) {
  const auto code = number == ENOMEM ? ErrorCode::kLimitExceeded : ErrorCode::kIo;
  auto error =
      base::at(base::make_error(code, {},
                                std::string(what) + ": " + std::generic_category().message(number)),
               path);
  error.system_errno = number;
  return error;
}

Error open_error(int number, std::string_view what, const std::filesystem::path& path) {
  Error error = system_error(number, what, path);
  if (number == ENOENT) {
    error.code = ErrorCode::kNotFound;
    error.message = "there is no such file or directory";
  }
  return error;
}

std::string_view kind_of(unsigned mode) noexcept {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISLNK(mode)) return "a symbolic link";
  return "something that is not a regular file";
}

}  // namespace ferrule::io
