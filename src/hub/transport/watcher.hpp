// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/hub.hpp"

namespace ferrule::hub {

/// The watcher, told of one thing at a time whatever threads speak.
Watcher one_at_a_time(const Watcher& watcher);

}  // namespace ferrule::hub
