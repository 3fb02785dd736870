// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/meter.hpp"

namespace ferrule::hub {

void Meter::add(std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.bytes_done += static_cast<std::uint64_t>(bytes);  // Wraps back on a rewind.
  if (watcher_.progress) watcher_.progress(progress_);
}

void Meter::file_done() {
  const std::lock_guard lock(mutex_);
  ++progress_.files_done;
  if (watcher_.progress) watcher_.progress(progress_);
}

}  // namespace ferrule::hub
