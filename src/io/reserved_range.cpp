// SPDX-License-Identifier: Apache-2.0
#include "io/reserved_range.hpp"

#include <sys/mman.h>

#include <limits>
#include <string>
#include <utility>

#include "base/errors.hpp"

namespace ferrule::io {

Result<ReservedRange> ReservedRange::of(std::uint64_t bytes) {
  ReservedRange range;
  if (bytes == 0) return range;
  const auto too_many = [&] {
    return base::over_limit("there is no room for " + std::to_string(bytes) +
                            " bytes of addresses");
  };
  if (bytes > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
    return too_many();
  }
  const auto size = static_cast<std::size_t>(bytes);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return too_many();
  range.data_ = static_cast<std::byte*>(data);
  range.size_ = size;
  return range;
}

ReservedRange::ReservedRange(ReservedRange&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

ReservedRange& ReservedRange::operator=(ReservedRange&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

ReservedRange::~ReservedRange() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace ferrule::io
