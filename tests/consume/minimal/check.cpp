// SPDX-License-Identifier: Apache-2.0
// Checks an adapter against a base and prints the rules of what it finds.
#include <cstdio>
#include <ferrule/check.hpp>

int main(int count, char** words) {
  if (count != 3) return 2;
  const auto base = ferrule::BaseModel::open(words[2]);
  if (!base) {
    std::fprintf(stderr, "%s\n", base.error().to_string().c_str());
    return 1;
  }
  const auto report = ferrule::check(words[1], *base);
  if (!report) {
    std::fprintf(stderr, "%s\n", report.error().to_string().c_str());
    return 1;
  }
  std::printf("%llu of %llu\n", static_cast<unsigned long long>(report->matched),
              static_cast<unsigned long long>(report->total));
  for (const auto& finding : report->findings) {
    std::printf("%s %s\n", finding.rule.c_str(), finding.message.c_str());
  }
  return report->good() ? 0 : 1;
}
