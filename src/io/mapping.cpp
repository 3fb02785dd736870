// SPDX-License-Identifier: Apache-2.0
#include "io/mapping.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/parallel.hpp"
#include "base/try.hpp"
#include "ferrule/writable_bytes.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

// From this size on a huge page costs less than the 512 faults it saves.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// A second thread costs about as much as copying this from the page cache.
constexpr std::size_t kBytesPerThread = std::size_t{8} << 20;
constexpr std::size_t kMaxThreads = 4;

/// Fills `out` from the start of the file, large files in several threads.
Result<void> read_all(const InputFile& file, std::span<std::byte> out, unsigned threads) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t parts = std::clamp<std::size_t>(out.size() / kBytesPerThread, 1,
                                                    std::min<std::size_t>(threads, kMaxThreads));
  // Parts start on huge pages, so that no page is faulted in by two threads.
  const std::size_t step = (out.size() / parts + kHugePage - 1) / kHugePage * kHugePage;
  std::vector<Result<void>> results(parts);
  auto read_part = [&](std::size_t part) {
    const std::size_t begin = std::min(part * step, out.size());
    const std::size_t end = part + 1 == parts ? out.size() : std::min(begin + step, out.size());
    results[part] = file.read_at(begin, out.subspan(begin, end - begin));
  };
  base::parallel_for(parts, static_cast<unsigned>(parts), read_part);
  for (auto& result : results) FERRULE_CHECK(std::move(result));
  return {};
}

}  // namespace

namespace {

// Bytes of a mapped file that are let go before their pages are given back, and what each call
// counts for at least, because it may have mapped as much.
constexpr std::size_t kReleaseAfter = std::size_t{4} << 20;
constexpr std::size_t kReleasedAtLeast = std::size_t{256} << 10;

struct MappedRange {
  std::size_t size = 0;
  bool is_writable = false;
  std::size_t pending = 0;
};

/// Ranges of files that are mapped now.
struct MappedFiles {
  std::mutex mutex;
  std::map<const std::byte*, MappedRange> ranges;

  /// The range that all of `bytes` are in, or the end. With the mutex held.
  auto find(std::span<const std::byte> bytes) {
    auto found = ranges.upper_bound(bytes.data());
    if (found == ranges.begin()) return ranges.end();
    --found;
    const auto before = static_cast<std::size_t>(bytes.data() - found->first);
    if (before > found->second.size || bytes.size() > found->second.size - before) {
      return ranges.end();
    }
    return found;
  }

  static MappedFiles& all() {
    static MappedFiles files;
    return files;
  }
};

void note_mapping(const std::byte* data, std::size_t size) {
  auto& files = MappedFiles::all();
  const std::lock_guard lock(files.mutex);
  files.ranges[data] = {.size = size};
}

void unmap(std::byte* data, std::size_t size) noexcept {
  auto& files = MappedFiles::all();
  const std::lock_guard lock(files.mutex);
  files.ranges.erase(data);
  ::munmap(data, size);
}

}  // namespace

Result<void> make_writable(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  auto& files = MappedFiles::all();
  const std::lock_guard lock(files.mutex);
  const auto found = files.find(bytes);
  if (found == files.ranges.end() || found->second.is_writable) return {};
  auto* const start = const_cast<std::byte*>(found->first);
  if (::mprotect(start, found->second.size, PROT_READ | PROT_WRITE) != 0) {
    return system_error(
        errno,
        "cannot make " + std::to_string(found->second.size) + " bytes of a mapped file writable",
        {});
  }
  found->second.is_writable = true;
  return {};
}

void populate_pages(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return;
  static const auto kPage = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data()) / kPage * kPage;
  const auto last = reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size();
  constexpr int kPopulateRead =
      22;  // MADV_POPULATE_READ since Linux 5.14; others know no such advice.
  ::madvise(const_cast<std::byte*>(bytes.data()) - (last - bytes.size() - first), last - first,
            kPopulateRead);
}

void release_pages(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return;
  auto& files = MappedFiles::all();
  const std::lock_guard lock(files.mutex);
  const auto found = files.find(bytes);
  // What was written to is in these pages alone.
  if (found == files.ranges.end() || found->second.is_writable) return;
  // The system maps far more than the pages that are touched: all of the folio in the page cache
  // that they are in, up to 2 MiB. So the whole file is given back, once enough was read; pages
  // that a neighbor still needs are mapped again.
  auto& range = found->second;
  range.pending += std::max(bytes.size(), kReleasedAtLeast);
  if (range.pending < kReleaseAfter && bytes.size() < range.size) return;
  range.pending = 0;
  ::madvise(const_cast<std::byte*>(found->first), range.size, MADV_DONTNEED);
}

Result<Mapping> Mapping::of(const InputFile& file, Backing backing, unsigned threads) {
  Mapping mapping;
  if (file.size() == 0) return mapping;
  if (file.size() > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max())) {
    return system_error(ENOMEM, "cannot hold it in memory", file.path());
  }
  const auto size = static_cast<std::size_t>(file.size());
  // Private, so that the pages can be made writable without a write ever reaching the file.
  const bool copy = backing == Backing::kCopy;
  void* data = ::mmap(nullptr, size, copy ? PROT_READ | PROT_WRITE : PROT_READ,
                      MAP_PRIVATE | (copy ? MAP_ANONYMOUS | MAP_NORESERVE : MAP_NORESERVE),
                      copy ? -1 : file.fd(), 0);
  if (data == MAP_FAILED) return system_error(errno, "cannot map it into memory", file.path());
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.size_ = size;
  if (!copy) note_mapping(mapping.data_, size);
  if (copy) {
    if (size >= kHugePage) ::madvise(data, size, MADV_HUGEPAGE);
    FERRULE_CHECK(read_all(file, {mapping.data_, size}, threads));
  }
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) unmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) unmap(data_, size_);
}

}  // namespace ferrule::io

namespace ferrule {

Result<std::span<std::byte>> writable_bytes(const TensorView& view) {
  const auto bytes = view.bytes();
  FERRULE_CHECK(io::make_writable(bytes));
  return std::span(const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace ferrule
