// SPDX-License-Identifier: Apache-2.0
// Opens an adapter: the program whose size is measured.
#include <cstdio>
#include <ferrule/adapter.hpp>

int main(int count, char** words) {
  if (count != 2) return 2;
  const auto adapter = ferrule::Adapter::open(words[1]);
  if (!adapter) {
    std::fprintf(stderr, "%s\n", adapter.error().to_string().c_str());
    return 1;
  }
  for (const auto& module : adapter->modules()) {
    std::printf("%.*s %.17g\n", static_cast<int>(module.path().size()), module.path().data(),
                module.strength());
  }
  return 0;
}
