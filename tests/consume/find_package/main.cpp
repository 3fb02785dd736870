// SPDX-License-Identifier: Apache-2.0
#include <ferrule/ferrule.hpp>
#include <iostream>

/// Touches every part of the library, so that whatever it needs has to be linked.
int main() {
  const auto config = ferrule::AdapterConfig::make("LORA");
  if (!config) return 1;
  if (ferrule::verify("no such adapter").good()) return 2;
  if (ferrule::inspect_folder("no such folder")) return 3;
  if (ferrule::save(ferrule::StateDict(), {{"default", *config}}, "nowhere")) return 4;
  if (!ferrule::resolve_strength(*config, "model.q_proj")) return 5;
  std::cout << config->peft_type() << ", ferrule " << ferrule::version() << "\n";
  return config->rank() == 8 ? 0 : 6;
}
