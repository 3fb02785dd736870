// SPDX-License-Identifier: Apache-2.0
#include "io/staged_file.hpp"

#include <sys/resource.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/try.hpp"
#include "io/save_control.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {

namespace {

constexpr std::size_t kMaxPieces = 1024;  // IOV_MAX
// The disk starts on this much while the next is still being copied.
constexpr std::size_t kWritebackBytes = std::size_t{8} << 20;

/// The next call's worth of `pieces` from byte `skip` of the first on.
struct Batch {
  std::array<struct iovec, kMaxPieces> pieces;
  std::size_t count = 0;
  std::size_t bytes = 0;

  void fill(std::span<const std::span<const std::byte>> from, std::size_t skip) {
    count = bytes = 0;
    for (const auto& piece : from) {
      const std::size_t size = std::min(piece.size() - skip, kWritebackBytes - bytes);
      if (size > 0) {
        // writev does not write through the pointer; iovec has no const form.
        pieces[count++] = {const_cast<std::byte*>(piece.data() + skip), size};
        bytes += size;
      }
      skip = 0;
      if (count == kMaxPieces || bytes == kWritebackBytes) return;
    }
  }
};

/// Drops `bytes` from the front of `pieces`; `skip` is the position in the first piece.
void advance(std::span<const std::span<const std::byte>>& pieces, std::size_t& skip,
             std::size_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().size() - skip) {
    bytes -= pieces.front().size() - skip;
    skip = 0;
    pieces = pieces.subspan(1);
  }
  skip += bytes;
}

/// tmpfs and ramfs.
bool is_in_memory(int fd) noexcept {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
  return type == 0x01021994 || type == 0x858458f6;
}

}  // namespace

StagedFile::StagedFile(UniqueFd fd, std::filesystem::path path, Durability durability) noexcept
    : fd_(std::move(fd)), path_(std::move(path)), durability_(durability) {}

Result<void> StagedFile::check_room(std::uint64_t end) const {
  // Asked here because the kernel's own answer is SIGXFSZ, which ends the process.
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      end > limit.rlim_cur) {
    return system_error(EFBIG, "cannot write it (the limit of this process, `ulimit -f`)", path_);
  }
  return {};
}

Result<void> StagedFile::write(std::span<const std::span<const std::byte>> pieces) {
  std::size_t skip = 0;
  advance(pieces, skip, 0);
  Batch batch;
  while (!pieces.empty()) {
    FERRULE_CHECK(unless_canceled(path_));
    batch.fill(pieces, skip);
    FERRULE_CHECK(check_room(written_ + batch.bytes));
    const ssize_t wrote = uninterrupted([&] {
      return sys().writev(fd_.get(), batch.pieces.data(), static_cast<int>(batch.count));
    });
    if (wrote < 0) return system_error(errno, "cannot write it", path_);
    if (wrote == 0) return system_error(EIO, "cannot write it (the system takes no bytes)", path_);
    written_ += static_cast<std::uint64_t>(wrote);
    count_staged(static_cast<std::uint64_t>(wrote));
    advance(pieces, skip, static_cast<std::size_t>(wrote));
    FERRULE_CHECK(start_writeback());
  }
  return {};
}

Result<void> StagedFile::start_writeback() {
  if (durability_ == Durability::kFast || written_ - writeback_ < kWritebackBytes) return {};
  const int result = uninterrupted([&] {
    return sys().sync_file_range(fd_.get(), static_cast<off_t>(writeback_),
                                 static_cast<off_t>(written_ - writeback_), SYNC_FILE_RANGE_WRITE);
  });
  writeback_ = written_;
  // Only a hint; but an error of the disk that it reports is reported once, so it is not lost here.
  if (result != 0 && errno != ENOSYS && errno != EINVAL && errno != ESPIPE && errno != EOPNOTSUPP) {
    return system_error(errno, "cannot flush it", path_);
  }
  return {};
}

Result<void> StagedFile::reserve(std::uint64_t bytes) {
  if (bytes == 0) return {};
  FERRULE_CHECK(check_room(bytes));
  // There it would fill every page with zeros first.
  if (is_in_memory(fd_.get())) return {};
  const int result =
      uninterrupted([&] { return sys().fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)); });
  if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    return system_error(errno, "cannot reserve " + std::to_string(bytes) + " bytes for it", path_);
  }
  return {};
}

Result<void> StagedFile::write_at(std::uint64_t offset, std::span<const std::byte> piece) {
  while (!piece.empty()) {
    FERRULE_CHECK(unless_canceled(path_));
    const ssize_t wrote = uninterrupted([&] {
      return sys().pwrite(fd_.get(), piece.data(), std::min(piece.size(), kWritebackBytes),
                          static_cast<off_t>(offset));
    });
    if (wrote < 0) return system_error(errno, "cannot write it", path_);
    if (wrote == 0) return system_error(EIO, "cannot write it (the system takes no bytes)", path_);
    offset += static_cast<std::uint64_t>(wrote);
    written_at_ += static_cast<std::uint64_t>(wrote);
    count_staged(static_cast<std::uint64_t>(wrote));
    piece = piece.subspan(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<void> StagedFile::finish() {
  if (!fd_) return {};
  if (durability_ != Durability::kFast &&
      uninterrupted([&] { return sys().fsync(fd_.get()); }) != 0) {
    return system_error(errno, "cannot flush it to the disk", path_);
  }
  // Never repeated: after EINTR the descriptor is gone already and may be someone else's.
  if (sys().close(fd_.release()) != 0 && errno != EINTR) {
    return system_error(errno, "cannot write it (said on closing)", path_);
  }
  return {};
}

}  // namespace ferrule::io
