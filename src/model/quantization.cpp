// SPDX-License-Identifier: Apache-2.0
#include "model/quantization.hpp"

namespace ferrule::model {

const Json* quantization_of(const Json& config) {
  const auto* text = config.find("text_config");
  for (const auto* where : {&config, text}) {
    const auto* own = where == nullptr ? nullptr : where->find("quantization_config");
    if (own != nullptr && own->is_object()) return own;
  }
  return nullptr;
}

std::string quantization_text(const Json* quantization, std::string_view field) {
  const auto* value = quantization == nullptr ? nullptr : quantization->find(field);
  return value == nullptr || value->if_string() == nullptr ? std::string() : *value->if_string();
}

std::string quantization_format(const Json* quantization) {
  if (quantization == nullptr) return {};
  auto method = quantization_text(quantization, "quant_method");
  if (method.empty()) return "quantization_config";
  if (method != "bitsandbytes") return method;
  const auto* eight = quantization->find("load_in_8bit");
  const bool in_bytes = eight != nullptr && eight->if_bool() != nullptr && *eight->if_bool();
  return in_bytes ? "bitsandbytes, 8 bits" : "bitsandbytes, 4 bits";
}

}  // namespace ferrule::model
