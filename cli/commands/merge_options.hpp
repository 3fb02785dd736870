// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "ferrule/merge.hpp"

namespace ferrule::cli {

/// The options of `merge` and `unmerge`.
struct MergeArguments {
  std::vector<std::string> adapters;
  std::vector<std::string> weights;
  std::string base;
  std::string output;
  std::string threads;
  bool copy = false;
  bool in_place = false;
  bool resume = false;
  bool json = false;
  MergeOptions options;
};

/// The arguments that both commands have; `base` says what the model is.
void add_merge_arguments(Arguments& command, MergeArguments& arguments, const std::string& base);

using MergeFunction = Result<MergeReport> (*)(std::span<const MergeSource>,
                                              const std::filesystem::path&,
                                              const std::filesystem::path&, const MergeOptions&);

/// Runs one of them and prints its report; `doing` and `done` are words ("merging", "merged").
int run_merge(MergeArguments& arguments, MergeFunction function, const std::string& doing,
              const std::string& done);

}  // namespace ferrule::cli
