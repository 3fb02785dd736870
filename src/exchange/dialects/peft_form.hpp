// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exchange/dialect.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/tensor_stream.hpp"

namespace ferrule::exchange {

/// One component of an adapter as PEFT has it: a config and tensors under PEFT's names, which refer
/// to the Middle.
struct PeftForm {
  AdapterConfig config;
  std::vector<TensorStream> tensors;
};

Result<PeftForm> peft_form(const Middle& middle, const std::string& component,
                           const Request& request, Ledger& ledger);

/// The sites and extras of an opened adapter, which `out` keeps alive. Fails with the first of its
/// errors, or with kUnsupported (EX-3: a method that is not converted).
Result<void> read_peft(Adapter adapter, const std::string& component, const Request& request,
                       Middle& out);

}  // namespace ferrule::exchange
