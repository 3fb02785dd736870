// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "ferrule/json.hpp"

namespace ferrule::cli {

/// What became of one item of a list: the members of its line, and its exit code.
struct FleetAnswer {
  Json::Object fields;
  int code = 0;
};

/// `--jobs N --jsonl --resume RESULTS`: a list of many items, several at a time, one line of JSON
/// for each as soon as it is done, and restartable by its own output.
class Fleet {
 public:
  void add_to(Arguments& command);

  bool is_wanted() const { return jsonl_ || !resume_.empty(); }
  /// 0 means one for each core.
  unsigned jobs() const { return jobs_; }

  /// Answers every path that RESULTS does not have yet, once. `answer` is called from several
  /// threads at once, and prints nothing. Returns the worst exit code of all items, those of
  /// RESULTS included.
  int run(const std::vector<std::string>& listed,
          const std::function<FleetAnswer(const std::string& path)>& answer) const;

 private:
  bool jsonl_ = false;
  std::string jobs_text_;
  unsigned jobs_ = 1;
  std::string resume_;
};

}  // namespace ferrule::cli
