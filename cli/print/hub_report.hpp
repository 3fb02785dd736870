// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "ferrule/error.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/json.hpp"
#include "print/progress.hpp"

namespace ferrule::cli {

/// 1 for a bad adapter and for damaged content, 2 for a usage error, 3 for everything that the
/// network, the server and the system refuse.
int hub_exit_code(const Error& error);

/// Reports a failure, with `json` also as a document (docs/cli.md); returns the exit code.
/// `fields` come first in it.
int hub_failure(const Error& error, bool json, Json::Object fields = {});

/// The "error" of that document.
Json hub_error(const Error& error);

Json::Object to_json(const hub::PushReport& report);

/// Shows bytes, rate and files on a terminal, and prints warnings.
class HubWatcher {
 public:
  explicit HubWatcher(std::string verb) : verb_(std::move(verb)) {}
  hub::Watcher watcher();
  void clear() { line_.clear(); }
  /// " (41.9 MB, 12.3 MB/s)", or nothing if nothing was transferred.
  std::string total() const;

 private:
  void show(const hub::Progress& progress);

  std::string verb_;
  ProgressLine line_;
  hub::Progress last_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What `push` and `save --push` print of a push that worked.
void print_push(const hub::PushReport& report, const HubWatcher& watcher);

}  // namespace ferrule::cli
