// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "ferrule/error.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::cli {

/// `--keep-going`: a folder of adapters is rewritten one adapter at a time, and goes on after one
/// that fails.
void add_keep_going(Arguments& command, bool& keep_going);

/// What a rewrite of one adapter came to. `adapters` are the entries of the document.
struct Rewritten {
  int code = 0;
  Json::Array adapters;
};

/// Rewrites every adapter below `folder`, each as a save of its own, from and to the same place
/// below `output`. `rewrite` prints what it did, or returns why it failed. Prints the count, or the
/// document with `adapters` and `failed`; returns the worst exit code.
int rewrite_each(const std::string& folder, const std::string& output, bool json,
                 const std::function<Result<Rewritten>(const std::string& from,
                                                       const std::string& to)>& rewrite);

}  // namespace ferrule::cli
