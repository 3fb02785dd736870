// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ferrule::io {

/// flock(fd, LOCK_EX), repeated after signals (TX-9). Waits for another saver as long as it takes;
/// ends with EINTR if saves are canceled, or the control of this call (CallControl) is.
int lock_exclusively(int fd) noexcept;
/// The same with LOCK_SH.
int lock_shared(int fd) noexcept;

}  // namespace ferrule::io
