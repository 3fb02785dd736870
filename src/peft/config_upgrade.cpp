// SPDX-License-Identifier: Apache-2.0
#include "peft/config_upgrade.hpp"

#include <string>
#include <string_view>
#include <utility>

#include "base/errors.hpp"

namespace ferrule::peft {
namespace {

bool holds_text(const Json& document, std::string_view field, std::string_view text) {
  const auto* value = document.find(field);
  return value != nullptr && value->is_string() && *value->if_string() == text;
}

void note(std::vector<Finding>& findings, std::string key, std::string message) {
  findings.push_back({.severity = Severity::kNote,
                      .rule = "CF-13",
                      .key = std::move(key),
                      .message = std::move(message)});
}

}  // namespace

Result<void> upgrade_config(Json& document, std::vector<Finding>& findings) {
  if (document.erase("runtime_config")) {
    note(findings, "runtime_config",
         "\"runtime_config\" is valid at run time only and was dropped");
  }
  if (holds_text(document, "peft_type", "BONE")) {
    document.set("peft_type", "MISS");
    note(findings, "peft_type", "type BONE is called MISS since PEFT 0.19");
    if (holds_text(document, "bias", "bone_only")) {
      document.set("bias", "MiSS_only");
      note(findings, "bias", "bias \"bone_only\" is called \"MiSS_only\" since PEFT 0.19");
    }
  }
  if (holds_text(document, "peft_type", "OFT") && document.find("oft_block_size") == nullptr) {
    return base::corrupt("CF-15",
                         "an OFT config without \"oft_block_size\" was written by PEFT 0.13 or "
                         "older, whose tensors no later PEFT can read");
  }
  return {};
}

}  // namespace ferrule::peft
