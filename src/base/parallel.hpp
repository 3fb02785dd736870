// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace ferrule::base {

/// Calls `work(i)` once for every i below `count`, in ascending order of start, from up to
/// `threads` threads at once (0: as many as there are cores). Returns when all calls have; if
/// the system has no more threads to give, those that run do the work. An exception ends the loop
/// early and is thrown on in the calling thread.
void parallel_for(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work);

}  // namespace ferrule::base
