// SPDX-License-Identifier: Apache-2.0
#include "factor/lora_source.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "adapter/method_modules.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "ferrule/call_control.hpp"
#include "ferrule/text.hpp"
#include "peft/initial_conversion.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::factor {
namespace {

bool is_given(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value == nullptr || value->is_null() || *value == Json(false)) return false;
  const auto* items = value->if_array();
  return items == nullptr || !items->empty();
}

Result<void> check_type(const Adapter& adapter) {
  const auto& type = adapter.config().peft_type();
  if (type == "LORA") return {};
  return base::at(base::unsupported("FA-1", "the adapter is of type " + type +
                                                ", expected LORA: convert it first (ferrule "
                                                "to-lora)"),
                  adapter.directory());
}

Result<void> check_magnitudes(const Adapter& adapter) {
  const auto tensors = adapter.tensors();
  const bool has = std::any_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.role == "lora_magnitude_vector";
  });
  if (!has && !adapter.config().use_dora()) return {};
  return base::at(
      base::unsupported("FA-2",
                        "the adapter is a DoRA: its magnitudes normalize base and update "
                        "together, so that updates do not add up; convert it first (ferrule "
                        "to-lora --base)"),
      adapter.directory());
}

Result<void> check_base(const Adapter& adapter) {
  if (!peft::trained_on_changed_base(adapter.config())) return {};
  const auto init = adapter.config().text("init_lora_weights").value_or("");
  return base::at(
      base::unsupported(
          "FA-3", "field \"init_lora_weights\" is " + quote(init) +
                      ": the adapter was trained on a base that its initialization changed; save "
                      "it with the initial adapter (ferrule save --initial)"),
      adapter.directory());
}

Result<void> refuse_variants(const Adapter& adapter) {
  for (const std::string_view field : {"use_qalora", "use_bdlora", "kasa_config", "velora_config",
                                       "monteclora_config", "arrow_config"}) {
    if (!is_given(adapter.config(), field)) continue;
    return base::at(
        base::unsupported("FA-4", "field " + quote(field) +
                                      " is set: the update of this variant of LoRA is not B A"),
        adapter.directory());
  }
  return {};
}

Result<void> check_tying(const Adapter& adapter) {
  const auto tensors = adapter.tensors();
  const bool embedding = std::any_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.role == "lora_embedding_A";
  });
  if (!adapter.config().flag("ensure_weight_tying") || !embedding) return {};
  return base::at(base::unsupported("FA-4",
                                    "field \"ensure_weight_tying\" is true: an embedding shares "
                                    "its factors with the layer tied to it"),
                  adapter.directory());
}

const AdapterTensor* find_bias(const AdapterModule& module) {
  for (const auto& tensor : module.tensors()) {
    if (tensor.role == "lora_B" && tensor.leaf == "bias") return &tensor;
  }
  return nullptr;
}

Result<LoraModule> read_module(const Adapter& adapter, const AdapterModule& module) {
  auto update = update::low_rank_update(adapter.config(), module);
  if (!update || !module.resolved().strength) {
    return base::at(
        base::unsupported("FA-5", "module " + quote(module.path()) +
                                      " cannot be computed with: expected F64, F32, F16 or BF16, a "
                                      "rank of at most " +
                                      std::to_string(update::kMaxVectors / 2) +
                                      " and a finite strength"),
        adapter.weights_file());
  }
  for (const auto* tensor : {update->a, update->b}) {
    FERRULE_CHECK(refuse_not_finite(adapter, *tensor));
  }
  for (const auto& tensor : module.tensors()) {
    if (!adapter::is_method_role(adapter.config(), tensor.role) || tensor.role == "lora_A" ||
        tensor.role == "lora_B" || tensor.role == "lora_embedding_A" ||
        tensor.role == "lora_embedding_B" || tensor.role == "lora_magnitude_vector") {
      continue;
    }
    return base::at(base::unsupported("FA-4", "tensor " + quote(tensor.key) +
                                                  " is of a variant of LoRA whose update is not "
                                                  "B A"),
                    adapter.weights_file());
  }
  return LoraModule{.module = &module, .update = *std::move(update), .bias = find_bias(module)};
}

}  // namespace

Result<void> check_plain(const Adapter& adapter) {
  FERRULE_CHECK(check_base(adapter));
  return refuse_variants(adapter);
}

Result<void> refuse_errors(const Adapter& adapter) {
  for (const auto& finding : adapter.findings()) {
    if (finding.severity != Severity::kError) continue;
    return base::at(base::corrupt(finding.rule, finding.message), finding.path);
  }
  return {};
}

Result<void> refuse_not_finite(const Adapter& adapter, const AdapterTensor& tensor) {
  constexpr std::size_t kStretch = 4096;
  std::vector<double> values;
  const auto elements = static_cast<std::size_t>(tensor.tensor.element_count());
  for (std::size_t first = 0; first < elements; first += kStretch) {
    values.resize(std::min(kStretch, elements - first));
    update::read_values(tensor.tensor, first, values);
    if (update::all_finite(values)) continue;
    return base::at(
        base::corrupt("FA-5", "tensor " + quote(tensor.key) + " has values that are not finite"),
        adapter.weights_file());
  }
  return {};
}

Result<std::vector<LoraModule>> lora_modules(const Adapter& adapter, Magnitudes magnitudes,
                                             unsigned threads) {
  FERRULE_CHECK(refuse_errors(adapter));
  FERRULE_CHECK(check_type(adapter));
  if (magnitudes == Magnitudes::kRefused) FERRULE_CHECK(check_magnitudes(adapter));
  FERRULE_CHECK(check_plain(adapter));
  FERRULE_CHECK(check_tying(adapter));
  std::vector<const AdapterModule*> found;
  for (const auto& module : adapter.modules()) {
    if (adapter::has_method_tensors(adapter.config(), module)) found.push_back(&module);
  }
  std::vector<std::optional<Result<LoraModule>>> read(found.size());
  {
    const CallControl::Scope quiet(nullptr);  // Looking is not the caller's progress.
    base::parallel_for(found.size(), threads,
                       [&](std::size_t i) { read[i].emplace(read_module(adapter, *found[i])); });
  }
  std::vector<LoraModule> modules;
  for (auto& result : read) {
    FERRULE_TRY(auto module, *std::move(result));
    modules.push_back(std::move(module));
  }
  return modules;
}

}  // namespace ferrule::factor
