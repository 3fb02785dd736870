// SPDX-License-Identifier: Apache-2.0
#include "check/check_values.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "adapter/examine.hpp"
#include "check/adapter_match.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

bool is_zero(const TensorView& tensor) {
  const auto bytes = tensor.bytes();
  return !bytes.empty() &&
         std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/// The tensor that makes a module's update zero where it is zero.
bool is_second_factor(const AdapterTensor& tensor) {
  return (tensor.role == "lora_B" && tensor.leaf != "bias") || tensor.role == "lora_embedding_A" ||
         tensor.role == "hira_B" || tensor.role == "delora_lambda" || tensor.role == "lora_E";
}

}  // namespace

std::vector<Finding> judge_values(const Adapter& adapter) {
  auto out = adapter::examine_values(adapter.config(), AdapterAccess::of(adapter));
  const bool all_zero =
      std::any_of(out.begin(), out.end(), [](const Finding& f) { return f.rule == "AD-21"; });
  for (auto& finding : out) {
    // Lily's shared factors (AD-22) still do something.
    if (finding.rule != "AD-22") finding.severity = Severity::kError;
  }
  if (all_zero) return out;
  std::size_t zero = 0;
  std::string_view first;
  for (const auto& module : adapter.modules()) {
    const bool idle = std::any_of(module.tensors().begin(), module.tensors().end(),
                                  [](const AdapterTensor& tensor) {
                                    return is_second_factor(tensor) && is_zero(tensor.tensor);
                                  });
    if (idle && zero++ == 0) first = module.path();
  }
  if (zero > 0) {
    out.push_back(about(
        Severity::kWarning, "AD-21", first,
        "the update of " + quote(first) + " is zero" +
            (zero > 1 ? ", as are those of " + std::to_string(zero - 1) + " more modules" : "")));
  }
  return out;
}

}  // namespace ferrule::checks
