// SPDX-License-Identifier: Apache-2.0
#include "signals.hpp"

#include <csignal>
#include <initializer_list>

#include "ferrule/save_control.hpp"

namespace ferrule::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;

// Only async-signal-safe calls. SA_RESETHAND has restored the default action already.
extern "C" void on_signal(int number) {
  if (!save_in_progress()) {
    ::raise(number);
    return;
  }
  g_signal = number;
  cancel_saves();
}

}  // namespace

void handle_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    // A process that ignores the signal (nohup) goes on ignoring it.
    if (::sigaction(number, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) continue;
    action = {};
    action.sa_handler = on_signal;
    // No SA_RESTART: a save that waits for another one must notice.
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
  }
}

bool is_interrupted() noexcept { return g_signal != 0; }

void die_if_interrupted() {
  if (g_signal != 0) ::raise(g_signal);
}

}  // namespace ferrule::cli
