// SPDX-License-Identifier: Apache-2.0
// Our half of adapter_bench.py: reads lines "ACTION PATH [PATH]" and answers each with the
// nanoseconds it took and a number that both halves must agree on.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include "ferrule/convert.hpp"
#include "ferrule/inspect.hpp"

namespace {

/// Converts one adapter into a directory of its own; as many tensors as were written.
std::optional<double> convert(const std::string& from, const std::string& to,
                              ferrule::Durability durability) {
  const auto report = ferrule::convert(from, to, {.durability = durability});
  if (!report || report->adapters.empty()) return std::nullopt;
  return static_cast<double>(report->adapters[0].tensors);
}

/// Lists and verifies a folder; as many tensors as its adapters have, all of them good.
std::optional<double> folder(const std::string& path, const std::string& memo) {
  ferrule::FolderOptions options;
  options.memo = memo;
  const auto summary = ferrule::inspect_folder(path, options);
  if (!summary || summary->bad() != 0) return std::nullopt;
  return static_cast<double>(summary->totals().tensors);
}

std::optional<double> run(const std::string& action, const std::string& from,
                          const std::string& to) {
  if (action == "convert_fast") return convert(from, to, ferrule::Durability::kFast);
  if (action == "convert_safe") return convert(from, to, ferrule::Durability::kSafe);
  if (action == "folder") return folder(from, to);
  return std::nullopt;
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string action;
    std::string from;
    std::string to;
    words >> action >> from >> to;
    const auto start = std::chrono::steady_clock::now();
    const auto check = run(action, from, to);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    if (!check) return 1;
    std::printf("%lld %.17g\n",
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()),
                *check);
    std::fflush(stdout);
  }
  return 0;
}
