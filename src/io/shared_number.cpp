// SPDX-License-Identifier: Apache-2.0
#include "io/shared_number.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"
#include "io/unique_fd.hpp"

namespace ferrule::io {
namespace {

constexpr std::size_t kBytes = sizeof(std::uint64_t);

Result<std::uint64_t*> map(const UniqueFd& fd, bool write, const std::filesystem::path& path) {
  void* data =
      ::mmap(nullptr, kBytes, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return system_error(errno, "cannot map it into memory", path);
  return static_cast<std::uint64_t*>(data);
}

Result<std::uint64_t*> open_number(const std::filesystem::path& path, bool write) {
  const int flags = (write ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const UniqueFd fd(
      uninterrupted([&] { return sys().openat(AT_FDCWD, path.c_str(), flags, 0666); }));
  if (fd.get() < 0) return open_error(errno, "cannot open it", path);
  struct stat about = {};
  if (sys().fstat(fd.get(), &about) != 0) return system_error(errno, "cannot look at it", path);
  if (!S_ISREG(about.st_mode)) {
    return base::at(base::corrupt("it is not a file"), path.string());
  }
  if (static_cast<std::size_t>(about.st_size) < kBytes) {
    if (!write) return base::at(base::corrupt("it has no number in it"), path.string());
    if (sys().ftruncate(fd.get(), static_cast<off_t>(kBytes)) != 0) {
      return system_error(errno, "cannot give it its size", path);
    }
  }
  return map(fd, write, path);
}

}  // namespace

Result<SharedNumber> SharedNumber::make(const std::filesystem::path& path) {
  auto mapped = open_number(path, true);
  if (!mapped) return std::move(mapped).error();
  SharedNumber number;
  number.number_ = *mapped;
  return number;
}

Result<SharedNumber> SharedNumber::open(const std::filesystem::path& path) {
  auto mapped = open_number(path, false);
  if (!mapped) return std::move(mapped).error();
  SharedNumber number;
  number.number_ = *mapped;
  return number;
}

SharedNumber::SharedNumber(SharedNumber&& other) noexcept
    : number_(std::exchange(other.number_, nullptr)) {}

SharedNumber& SharedNumber::operator=(SharedNumber&& other) noexcept {
  if (this != &other) {
    if (number_ != nullptr) ::munmap(number_, kBytes);
    number_ = std::exchange(other.number_, nullptr);
  }
  return *this;
}

SharedNumber::~SharedNumber() {
  if (number_ != nullptr) ::munmap(number_, kBytes);
}

std::uint64_t SharedNumber::load() const noexcept {
  return std::atomic_ref<std::uint64_t>(*number_).load(std::memory_order_acquire);
}

void SharedNumber::store(std::uint64_t number) noexcept {
  std::atomic_ref<std::uint64_t>(*number_).store(number, std::memory_order_release);
}

}  // namespace ferrule::io
