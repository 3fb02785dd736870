// SPDX-License-Identifier: Apache-2.0
// Our half of diff_bench.py: reads lines "A B" (adapters' directories) and answers each with the
// nanoseconds that opening and comparing them took, and the relative distance found.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>

#include "ferrule/adapter.hpp"
#include "ferrule/diff.hpp"

int main() {
  std::string a, b;
  while (std::cin >> a >> b) {
    const auto start = std::chrono::steady_clock::now();
    const auto first = ferrule::Adapter::open(a);
    const auto second = ferrule::Adapter::open(b);
    if (!first || !second) return 1;
    const auto report = ferrule::diff(*first, *second, {.threads = 0});
    const auto elapsed = std::chrono::steady_clock::now() - start;
    std::printf("%lld %.17g\n",
                static_cast<long long>(
                    std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()),
                report.measure.relative_distance.value_or(-1));
    std::fflush(stdout);
  }
  return 0;
}
