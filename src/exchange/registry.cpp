// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "exchange/dialect.hpp"
#include "exchange/dialects/dialects.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

std::string not_recognized(const Look& look) {
  const auto* named = look.config_dialect != nullptr ? look.config_dialect : look.key_dialect;
  if (named != nullptr) {
    return "this is " + std::string(named->what) + ", which Ferrule does not convert";
  }
  if (look.is_folder) return "no adapter of any dialect is in this folder";
  if (look.tensors) return "the names of its tensors are not those of any adapter";
  return "this is " + std::string(describe(look.kind));
}

/// A config of one program beside the tensors of another.
/// The weights of one program alone, by the end of their name.
constexpr std::pair<std::string_view, std::string_view> kOwnFiles[] = {
    {"adapters.safetensors", "mlx"},
    {"pytorch_adapter.bin", "adapterhub"},
    {"adapter.safetensors", "adapterhub"},
    {"adapter_model.pt", "torchtune"},
    {"lit_model.pth.lora", "litgpt"},
    {"lora.safetensors", "mistral"},
    {"adapter.onnx_adapter", "onnx"},
    {"lycoris.safetensors", "lycoris"},
    {"pytorch_lora_weights.safetensors", "diffusers"},
    {".lora.h5", "keras"},
    {"lora_config.json", "paddle"}};

/// Whose weights a file of a folder are; "" for a file of any program.
std::string_view owner_of(std::string_view name) {
  for (const auto& [file, dialect] : kOwnFiles) {
    if (name == file || (file.starts_with('.') && name.ends_with(file))) return dialect;
  }
  return {};
}

/// Beside PEFT's own files others are its user's matter.
Result<void> check_files(const Look& look) {
  if (!look.is_folder || look.has(kSafetensorsFile) || look.has(kBinFile)) return {};
  std::string_view first;
  for (const auto& name : look.names) {
    const auto owner = owner_of(name);
    if (owner.empty() || first.empty() || owner == owner_of(first)) {
      if (!owner.empty()) first = name;
      continue;
    }
    return base::at(
        base::unsupported(
            "EX-2", quote(first) + " is of " + std::string(find_dialect(owner_of(first))->what()) +
                        ", and " + quote(name) + " of " + std::string(find_dialect(owner)->what()) +
                        "; --from says which of them to read"),
        look.path);
  }
  return {};
}

Result<void> check_parts(const Look& look) {
  FERRULE_CHECK(check_files(look));
  if (look.config_dialect == nullptr) return {};
  const auto* other = look.key_dialect;
  if (look.has_peft_keys || (other != nullptr && other->name != look.config_dialect->name)) {
    return base::at(base::unsupported(
                        "EX-2", "the config is that of " + std::string(look.config_dialect->what) +
                                    ", and the tensors are those of " +
                                    std::string(look.has_peft_keys ? "PEFT" : other->what) +
                                    "; --from says which of them to read"),
                    look.path);
  }
  return {};
}

}  // namespace

Result<void> Dialect::prepare(Middle& /*middle*/, const Request& /*request*/,
                              Ledger& /*ledger*/) const {
  return {};
}

std::span<const Dialect* const> all_dialects() {
  static const std::array kAll = {
      &peft_dialect(),       &per_expert_dialect(), &fused_expert_dialect(), &mlx_dialect(),
      &kohya_dialect(),      &lycoris_dialect(),    &diffusers_dialect(),    &gguf_dialect(),
      &adapterhub_dialect(), &paddle_dialect(),     &torchtune_dialect(),    &litgpt_dialect(),
      &mistral_dialect(),    &onnx_dialect(),       &lightning_dialect(),    &keras_dialect(),
      &swift_dialect()};
  return kAll;
}

const Dialect* find_dialect(std::string_view name) {
  for (const auto* dialect : all_dialects()) {
    if (dialect->name() == name) return dialect;
  }
  return nullptr;
}

Result<const Dialect*> dialect_of(const Look& look) {
  FERRULE_CHECK(check_parts(look));
  const Dialect* found = nullptr;
  for (const auto* dialect : all_dialects()) {
    if (!dialect->detect(look)) continue;
    if (found != nullptr) {
      return base::at(base::unsupported("EX-2", "this is " + std::string(found->what()) + " and " +
                                                    std::string(dialect->what()) +
                                                    " at once; --from says which of them to read"),
                      look.path);
    }
    found = dialect;
  }
  if (found != nullptr) return found;
  if (look.trouble) return *look.trouble;
  return base::at(base::unsupported("EX-1", not_recognized(look)), look.path);
}

PlannedFile safetensors_file(std::string name, std::vector<TensorStream> tensors,
                             Metadata metadata) {
  return {
      .name = std::move(name),
      .write = [tensors = std::move(tensors), metadata = std::move(metadata)](io::OutputFile& out) {
        return container::write_safetensors(out, tensors, metadata);
      }};
}

PlannedFile torch_file(std::string name, std::vector<TensorStream> tensors, std::string key) {
  return {.name = std::move(name),
          .write = [tensors = std::move(tensors), key = std::move(key)](io::OutputFile& out) {
            return container::write_torch(out, tensors, key);
          }};
}

PlannedFile text_file(std::string name, std::string text) {
  return {.name = std::move(name), .write = [text = std::move(text)](io::OutputFile& out) {
            return out.write(std::as_bytes(std::span(text)));
          }};
}

}  // namespace ferrule::exchange
