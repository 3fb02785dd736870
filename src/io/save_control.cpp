// SPDX-License-Identifier: Apache-2.0
#include "io/save_control.hpp"

#include <atomic>
#include <cerrno>

#include "base/call_control.hpp"

namespace ferrule {
namespace {

// Lock-free, because signal handlers use them.
std::atomic<int> g_saves{0};
std::atomic<bool> g_canceled{false};
std::atomic<std::uint64_t> g_staged{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

}  // namespace

bool save_in_progress() noexcept { return g_saves.load() > 0; }

void cancel_saves(bool canceled) noexcept { g_canceled.store(canceled); }

std::uint64_t bytes_staged() noexcept { return g_staged.load(std::memory_order_relaxed); }

namespace io {

SaveMark::SaveMark() noexcept { g_saves.fetch_add(1); }
SaveMark::~SaveMark() { g_saves.fetch_sub(1); }

bool saves_canceled() noexcept {
  if (g_canceled.load(std::memory_order_relaxed)) return true;
  const auto* control = base::call_control();
  return control != nullptr && control->is_canceled();
}

Result<void> unless_canceled(const std::filesystem::path& path) {
  if (!saves_canceled()) return {};
  return Error{.code = ErrorCode::kIo,
               .message = "the save was canceled; nothing was changed",
               .path = path.string(),
               .system_errno = EINTR};
}

void count_staged(std::uint64_t bytes) noexcept {
  g_staged.fetch_add(bytes, std::memory_order_relaxed);
  if (auto* control = base::call_control()) CallControlAccess::add_staged(*control, bytes);
}

}  // namespace io
}  // namespace ferrule
