// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/hub.hpp"

namespace ferrule::hub {

/// A watcher whose functions call those of `watcher`, one at a time, from any thread.
Watcher one_at_a_time(const Watcher& watcher);

}  // namespace ferrule::hub
