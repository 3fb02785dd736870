// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/raw_modules.hpp"

#include <utility>

#include "base/errors.hpp"
#include "exchange/dialects/image/file_key.hpp"
#include "exchange/values.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {

namespace {

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kF16 ||
         dtype == Dtype::kBF16 || dtype == Dtype::kF8E4M3 || dtype == Dtype::kF8E5M2;
}

}  // namespace

Result<std::vector<RawModule>> raw_modules(const TensorSource& source) {
  std::map<std::string, RawModule> modules;
  for (const auto& [name, tensor] : source.tensors()) {
    auto key = split_file_key(name);
    const bool flat = key.module.starts_with("lora_") || key.module.starts_with("lycoris_");
    if (key.module.empty() || (!key.known && !flat)) {
      return base::unsupported("EX-5",
                               "tensor " + quote(name) +
                                   " is not part of an adapter in any spelling that Ferrule "
                                   "knows");
    }
    if (tensor.shape().size() > Values::kMaxDims) {
      return base::unsupported("EX-5", "tensor " + quote(name) + " has " +
                                           std::to_string(tensor.shape().size()) + " dimensions");
    }
    if (key.known && key.leaf != "alpha" && !is_float(tensor.dtype())) {
      return base::unsupported("EX-5", "tensor " + quote(name) + " is of " +
                                           std::string(dtype_name(tensor.dtype())) +
                                           ", which factors are not kept in");
    }
    auto& module = modules[key.module];
    if (module.key.empty()) {
      module.name = key.module;
      module.key = name;
    }
    auto& leaves = key.known ? module.leaves : module.unread;
    if (!leaves.emplace(std::string(key.leaf), tensor).second) {
      return base::corrupt("EX-8", "module " + quote(key.module) + " has its " +
                                       std::string(key.leaf) + " twice, in two spellings (" +
                                       quote(name) + ")");
    }
  }
  std::vector<RawModule> out;
  out.reserve(modules.size());
  for (auto& [name, module] : modules) out.push_back(std::move(module));
  return out;
}

}  // namespace ferrule::exchange
