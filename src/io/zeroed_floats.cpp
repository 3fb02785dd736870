// SPDX-License-Identifier: Apache-2.0
#include "io/zeroed_floats.hpp"

#include <sys/mman.h>

#include <limits>
#include <new>
#include <utility>

namespace ferrule::io {

ZeroedFloats::ZeroedFloats(std::size_t count) : size_(count) {
  if (count == 0) return;
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(float)) throw std::bad_alloc();
  void* const data = ::mmap(nullptr, count * sizeof(float), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  // Advice: if the system has no large pages, small ones do.
  ::madvise(data, count * sizeof(float), MADV_HUGEPAGE);
  data_ = static_cast<float*>(data);
}

ZeroedFloats::ZeroedFloats(ZeroedFloats&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

ZeroedFloats& ZeroedFloats::operator=(ZeroedFloats&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

ZeroedFloats::~ZeroedFloats() {
  if (data_ != nullptr) ::munmap(data_, size_ * sizeof(float));
}

}  // namespace ferrule::io
