// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "ferrule/export.hpp"

namespace ferrule {

/// A kind of tensor that a PEFT method keeps in its file.
struct MethodRole {
  /// As AdapterTensor::role: "lora_A".
  std::string_view role;
  /// One for the whole model (a projection that all modules share, a prompt), not one a module.
  bool is_of_model = false;
};

/// The roles of a method's own tensors that a file may have, so that an engine need not guess;
/// empty for a type that Ferrule does not know. What every method may carry (modules_to_save, bias,
/// embedding, trainable_tokens) is not among them. May be called from any number of threads at
/// once.
FERRULE_API std::vector<MethodRole> method_roles(std::string_view peft_type);

}  // namespace ferrule
