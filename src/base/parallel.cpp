// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/call_control.hpp"

namespace ferrule::base {

void parallel_for(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  auto* const control = call_control();
  if (control != nullptr) CallControlAccess::add_known(*control, count);
  const auto run = [&] {
    const CallControl::Scope scope(control);
    try {
      for (auto i = next++; i < count; i = next++) {
        work(i);
        if (control != nullptr) CallControlAccess::add_done(*control);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  const auto most = std::min<std::size_t>(threads, count);
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < most) helpers.emplace_back(run);
  } catch (const std::system_error&) {
    // No more threads to be had.
  }
  run();
  for (auto& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace ferrule::base
