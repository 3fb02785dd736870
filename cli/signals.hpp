// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ferrule::cli {

/// SIGINT, SIGTERM and SIGHUP: ends the process at once, unless a save is in progress. That one is
/// canceled first, so that it leaves nothing behind. A second signal always ends the process.
void handle_signals();

/// True once a signal has asked the process to end.
bool is_interrupted() noexcept;

/// Ends the process by the signal that interrupted it, as a shell expects; returns if there was
/// none.
void die_if_interrupted();

}  // namespace ferrule::cli
