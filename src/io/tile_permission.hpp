// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ferrule::io {

/// Asks the system for the use of the processor's matrix registers (AMX), which it saves only for
/// processes that asked. False if it, or the processor, has none to give.
bool permit_tiles() noexcept;

}  // namespace ferrule::io
