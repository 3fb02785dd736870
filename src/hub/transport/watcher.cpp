// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/watcher.hpp"

#include <memory>
#include <mutex>
#include <string_view>

namespace ferrule::hub {

Watcher one_at_a_time(const Watcher& watcher) {
  Watcher out;
  const auto mutex = std::make_shared<std::mutex>();
  if (watcher.progress) {
    out.progress = [mutex, told = watcher.progress](const Progress& progress) {
      const std::lock_guard lock(*mutex);
      told(progress);
    };
  }
  if (watcher.warning) {
    out.warning = [mutex, told = watcher.warning](std::string_view warning) {
      const std::lock_guard lock(*mutex);
      told(warning);
    };
  }
  if (watcher.cancelled) {
    out.cancelled = [mutex, asked = watcher.cancelled] {
      const std::lock_guard lock(*mutex);
      return asked();
    };
  }
  return out;
}

}  // namespace ferrule::hub
