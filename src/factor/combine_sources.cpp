// SPDX-License-Identifier: Apache-2.0
#include "factor/combine_sources.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/method_modules.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::factor {
namespace {

Error two_shapes(const CombineModule::Input& first, const CombineModule::Input& other) {
  const auto shapes = [](const LoraModule& module) {
    return "A " + base::shape_text(module.update.a->tensor.shape()) + " and B " +
           base::shape_text(module.update.b->tensor.shape());
  };
  return base::at(
      base::unsupported("FA-6", "module " + quote(other.module->module->path()) + " has " +
                                    shapes(*other.module) + ", but " + shapes(*first.module) +
                                    " in " + quote(first.source->adapter.directory().string()) +
                                    ": the adapters are not of one base"),
      other.source->adapter.weights_file());
}

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.dtype() == b.dtype() && std::ranges::equal(a.shape(), b.shape()) &&
         std::ranges::equal(a.bytes(), b.bytes());
}

bool fits(const CombineModule& module, const CombineModule::Input& input) {
  const auto layout = FactorLayout::of(*input.module->module, input.module->update);
  return update::same_shape(module.inputs.front().module->update, input.module->update) &&
         layout.is_experts == module.layout.is_experts && layout.in == module.layout.in &&
         layout.out == module.layout.out;
}

}  // namespace

std::vector<Term> CombineModule::terms(std::size_t part) const {
  std::vector<Term> terms;
  for (const auto& input : inputs) {
    const auto& block = input.module->update.blocks[part];
    terms.push_back({.factor = input.factor(), .a = block.a, .b = block.b});
  }
  return terms;
}

Result<std::vector<CombineSource>> open_sources(std::span<const std::filesystem::path> adapters,
                                                const CombineOptions& options) {
  std::vector<CombineSource> sources;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    FERRULE_TRY(auto adapter, AdapterAccess::open(adapters[i], options.open));
    FERRULE_TRY(auto modules, lora_modules(adapter, Magnitudes::kRefused));
    sources.push_back({.adapter = std::move(adapter),
                       .modules = std::move(modules),
                       .weight = options.weights.empty() ? 1.0 : options.weights[i]});
  }
  return sources;
}

Result<std::vector<CombineModule>> group_modules(const std::vector<CombineSource>& sources) {
  std::map<std::string_view, CombineModule> groups;
  for (const auto& source : sources) {
    for (const auto& module : source.modules) {
      auto& group = groups[module.module->path()];
      const CombineModule::Input input{&source, &module};
      if (group.inputs.empty()) {
        group.path = std::string(module.module->path());
        group.layout = FactorLayout::of(*module.module, module.update);
      } else if (!fits(group, input)) {
        return two_shapes(group.inputs.front(), input);
      }
      group.inputs.push_back(input);
      for (const auto* tensor : {module.update.a, module.update.b}) {
        if (tensor->tensor.dtype() == Dtype::kF64) group.dtype = Dtype::kF64;
      }
    }
  }
  std::vector<CombineModule> modules;
  for (auto& [path, group] : groups) modules.push_back(std::move(group));
  return modules;
}

Result<std::vector<TakenOver>> tensors_taken_over(const std::vector<CombineSource>& sources) {
  std::map<std::string_view, TakenOver> taken;
  for (const auto& source : sources) {
    for (const auto& tensor : source.adapter.tensors()) {
      if (adapter::is_method_role(source.adapter.config(), tensor.role)) continue;
      const auto [place, is_new] = taken.try_emplace(tensor.key, TakenOver{&source, &tensor});
      if (is_new || same_bytes(place->second.tensor->tensor, tensor.tensor)) continue;
      return base::at(
          base::unsupported("FA-7",
                            "tensor " + quote(tensor.key) +
                                (tensor.role.empty() ? "" : " (" + std::string(tensor.role) + ")") +
                                " replaces a tensor of the base, and another one does so in " +
                                quote(place->second.source->adapter.directory().string()) +
                                ": replacements do not add up"),
          source.adapter.weights_file());
    }
  }
  std::vector<TakenOver> all;
  for (const auto& [key, entry] : taken) all.push_back(entry);
  return all;
}

Result<void> check_one_layer(const std::vector<CombineSource>& sources,
                             const std::vector<CombineModule>& modules,
                             std::span<const TakenOver> taken_over) {
  const auto refuse = [](const CombineSource& source, const std::string& path,
                         const std::string& what) {
    return base::at(base::unsupported("FA-16", "module " + quote(path) + " " + what +
                                                   ": PEFT cannot load that as one adapter"),
                    source.adapter.weights_file());
  };
  const CombineSource* with_bias = nullptr;
  for (const auto& source : sources) {
    for (const auto& module : source.modules) {
      if (module.bias != nullptr) with_bias = &source;
    }
  }
  for (const auto& module : modules) {
    const auto& source = *module.inputs.front().source;
    if (with_bias != nullptr && (module.layout.is_embedding || module.layout.is_experts)) {
      return refuse(
          *with_bias, module.path,
          "is an embedding or fused experts, and another one has a bias of B (lora_bias)");
    }
    for (const auto& [of, tensor] : taken_over) {
      if (tensor->role == "trainable_tokens" &&
          tensor->key.find("." + module.path + ".") != std::string::npos) {
        return refuse(*of, module.path, "has a LoRA in one adapter and trained tokens in another");
      }
    }
    for (const auto& other : sources) {
      for (const auto& name : other.adapter.config().modules_to_save()) {
        if (module.path != name && !module.path.ends_with("." + name)) continue;
        return refuse(source, module.path,
                      "has a LoRA in one adapter and is saved in full in another");
      }
    }
  }
  return {};
}

}  // namespace ferrule::factor
