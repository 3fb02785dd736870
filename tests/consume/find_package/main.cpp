// SPDX-License-Identifier: Apache-2.0
#include <ferrule/ferrule.hpp>
#include <iostream>

int main() {
  const auto config = ferrule::AdapterConfig::make("LORA");
  if (!config) return 1;
  std::cout << config->peft_type() << ", ferrule " << ferrule::version() << "\n";
  return config->rank() == 8 ? 0 : 1;
}
