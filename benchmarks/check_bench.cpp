// SPDX-License-Identifier: Apache-2.0
// Our half of check_bench.py: reads lines "ACTION BASE ADAPTER" and answers each with the
// nanoseconds it took and the number of modules found, on which both halves must agree.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "ferrule/check.hpp"

namespace {

namespace fs = std::filesystem;

struct Answer {
  std::int64_t nanoseconds = 0;
  std::uint64_t matched = 0;
};

std::uint64_t matched(const ferrule::Result<ferrule::CheckReport>& report) {
  return report && report->good() ? report->matched : 0;
}

/// One adapter: base and adapter opened from nothing.
std::uint64_t check_one(const fs::path& base_path, const fs::path& adapter) {
  const auto base = ferrule::BaseModel::open(base_path);
  return base ? matched(ferrule::check(adapter, *base)) : 0;
}

/// Every folder below `folder`, against one opened base.
std::uint64_t check_many(const fs::path& base_path, const std::vector<fs::path>& adapters) {
  const auto base = ferrule::BaseModel::open(base_path);
  if (!base) return 0;
  std::uint64_t sum = 0;
  for (const auto& report : ferrule::check(adapters, *base, {.threads = 0})) sum += matched(report);
  return sum;
}

Answer answer(const std::string& action, const fs::path& base, const fs::path& adapter) {
  std::vector<fs::path> adapters;
  if (action == "many") {
    for (const auto& entry : fs::directory_iterator(adapter)) adapters.push_back(entry.path());
    std::sort(adapters.begin(), adapters.end());
  }
  const auto start = std::chrono::steady_clock::now();
  const auto found = action == "many" ? check_many(base, adapters) : check_one(base, adapter);
  const auto elapsed = std::chrono::steady_clock::now() - start;
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count(), found};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string action;
    std::string base;
    std::string adapter;
    words >> action >> base >> adapter;
    const auto [nanoseconds, found] = answer(action, base, adapter);
    std::cout << nanoseconds << ' ' << found << std::endl;
  }
  return 0;
}
