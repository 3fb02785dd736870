// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>

#include "ferrule/hub.hpp"

namespace ferrule::hub {

/// Adds up the progress of several transfers, and reports it to the watcher. Safe for several
/// threads.
class Meter {
 public:
  Meter(const Watcher& watcher, Progress start) : watcher_(watcher), progress_(start) {}
  void add(std::int64_t bytes);
  void file_done();

 private:
  const Watcher& watcher_;
  std::mutex mutex_;
  Progress progress_;
};

}  // namespace ferrule::hub
