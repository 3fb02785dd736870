// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/transport/http.hpp"
#include "hub/transport/stop.hpp"

namespace ferrule::hub {

/// The connections of one client: the main one for requests that follow each other, and others
/// while files are transferred. There are at most kMaxLanes, however many files and parts of files
/// wait.
class Lanes {
 public:
  static constexpr unsigned kMaxLanes = 4;

  explicit Lanes(const Settings& settings) : main_(settings) { free_.push_back(&main_); }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  /// For the thread that pushes or pulls, while no lane is taken.
  Http& main() noexcept { return main_; }

  const Settings& settings() const noexcept { return main_.settings(); }

  /// A connection for one transfer; its destructor gives it back.
  class Lane {
   public:
    Lane(Lanes& lanes, Http& http, const Stop& stop) : lanes_(&lanes), http_(&http) {
      http_->heed(&stop);
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane() { lanes_->give_back(*http_); }
    Http& operator*() const noexcept { return *http_; }
    Http* operator->() const noexcept { return http_; }

   private:
    Lanes* lanes_;
    Http* http_;
  };

  /// Waits for a free one.
  Lane take(const Stop& stop);

 private:
  void give_back(Http& http) noexcept;

  Http main_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Http>> more_;
  std::vector<Http*> free_;
};

/// Calls `work(i)` for every i below `count`, from up to Lanes::kMaxLanes threads. The first error
/// requests the stop and is returned; work that has not begun is skipped.
Result<void> together(std::size_t count, Stop& stop,
                      const std::function<Result<void>(std::size_t)>& work);

/// The same for requests whose refusals the caller looks at. `take` is called with each 2xx, one at
/// a time. The first refusal stops the others and is returned; nullopt if there was none.
Result<std::optional<Response>> answers_together(
    std::size_t count, const Stop& above,
    const std::function<Result<Response>(std::size_t, const Stop&)>& send,
    const std::function<void(std::size_t, const Response&)>& take);

}  // namespace ferrule::hub
