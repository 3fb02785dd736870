// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "ferrule/export.hpp"

/// For programs that are told to stop (Ctrl-C) while they save. The library handles no signal by
/// itself. A handler may do
///
///   if (!ferrule::save_in_progress()) die_of(signal);
///   ferrule::cancel_saves();
///
/// and the program ends when the save has returned its error.
namespace ferrule {

/// True while a save of this process has files on disk that are not published (docs/rules/TX.md).
/// Async-signal-safe.
FERRULE_API bool save_in_progress() noexcept;

/// Makes every save of this process fail with kIo and EINTR at its next write or wait, so that it
/// removes what it prepared and leaves the old files. Later saves fail too, until it is called with
/// `false`. Async-signal-safe.
FERRULE_API void cancel_saves(bool canceled = true) noexcept;

/// Bytes that this process has written into files of saves so far, for displays of progress.
FERRULE_API std::uint64_t bytes_staged() noexcept;

}  // namespace ferrule
