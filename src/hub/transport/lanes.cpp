// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/lanes.hpp"

#include <optional>

#include "base/parallel.hpp"
#include "base/try.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {

Lanes::Lane Lanes::take(const Stop& stop) {
  std::unique_lock lock(mutex_);
  if (free_.empty() && more_.size() + 1 < kMaxLanes) {
    more_.push_back(std::make_unique<Http>(main_.another()));
    free_.reserve(kMaxLanes);  // give_back() must not fail.
    free_.push_back(more_.back().get());
  }
  freed_.wait(lock, [this] { return !free_.empty(); });
  auto* http = free_.back();
  free_.pop_back();
  return {*this, *http, stop};
}

void Lanes::give_back(Http& http) noexcept {
  http.heed(nullptr);
  const std::lock_guard lock(mutex_);
  free_.push_back(&http);
  freed_.notify_one();
}

Result<void> together(std::size_t count, Stop& stop,
                      const std::function<Result<void>(std::size_t)>& work) {
  std::mutex mutex;
  std::optional<Error> failed;
  base::parallel_for(count, Lanes::kMaxLanes, [&](std::size_t i) {
    if (stop.requested()) return;
    auto done = work(i);
    if (done) return;
    const std::lock_guard lock(mutex);
    if (!failed) failed = std::move(done).error();
    stop.request();
  });
  if (failed) return std::move(*failed);
  if (stop.requested()) return stopped();
  return {};
}

Result<std::optional<Response>> answers_together(
    std::size_t count, const Stop& above,
    const std::function<Result<Response>(std::size_t, const Stop&)>& send,
    const std::function<void(std::size_t, const Response&)>& take) {
  Stop stop(&above);
  std::mutex mutex;
  std::optional<Response> refused;
  auto done = together(count, stop, [&](std::size_t i) -> Result<void> {
    FERRULE_TRY(auto response, send(i, stop));
    const std::lock_guard lock(mutex);
    if (response.ok()) {
      take(i, response);
    } else if (!refused) {
      refused = std::move(response);
      stop.request();
    }
    return {};
  });
  if (!refused) FERRULE_CHECK(std::move(done));
  return refused;
}

}  // namespace ferrule::hub
