// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/module_selector.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {
namespace {

// peft.utils.constants.EMBEDDING_LAYER_NAMES: what counts as targeted.
constexpr std::array<std::string_view, 2> kTargetedNames = {"embed_tokens", "lm_head"};

// Where no live model says which modules they are: what transformers' families call them.
constexpr std::array<std::string_view, 9> kInputNames = {
    "embed_tokens", "wte",        "word_embeddings",  "embed_in",     "tok_embeddings",
    "shared",       "embeddings", "token_embeddings", "wordembedding"};
constexpr std::array<std::string_view, 3> kOutputNames = {"lm_head", "embed_out", "output"};

std::string_view last_component(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

/// Where the base model is: a prompt leaves it as it is, a tuner wraps it again.
std::string_view base_prefix(bool prompt) { return prompt ? "base_model." : kModelPrefix; }

/// The base model's own module paths: what a live model says, or what the keys show.
std::set<std::string> module_paths(const SelectionContext& context, bool prompt) {
  std::set<std::string> paths;
  for (const auto& [path, name] : context.facts.modules) paths.insert(path);
  if (!paths.empty()) return paths;
  const auto prefix = base_prefix(prompt);
  for (const auto& [key, view] : context.layout.entries()) {
    std::string path;
    if (!key.starts_with(prefix)) continue;
    for (const auto part : split(std::string_view(key).substr(prefix.size()))) {
      if (part == "base_layer" || part == "original_module" || part == "modules_to_save" ||
          part == "token_adapter") {
        break;
      }
      if (!path.empty()) paths.insert(path), path += '.';
      path += part;
    }
  }
  return paths;
}

/// As PEFT asks: a pattern must match an embedding's whole path, a list must hold its bare name.
Result<bool> is_targeted(const SelectionContext& context, const AdapterConfig& config) {
  const auto targets = config.target_modules();
  if (!targets) return false;
  if (!targets->is_pattern) {
    return std::any_of(kTargetedNames.begin(), kTargetedNames.end(), [&](std::string_view name) {
      return std::find(targets->names.begin(), targets->names.end(), name) != targets->names.end();
    });
  }
  if (targets->pattern == "all-linear") return false;
  FERRULE_TRY(const auto selector, CompiledSelector::compile(*targets));
  for (const auto& path : module_paths(context, config.is_prompt_learning())) {
    const auto name = last_component(path);
    if (std::find(kTargetedNames.begin(), kTargetedNames.end(), name) == kTargetedNames.end()) {
      continue;
    }
    FERRULE_TRY(const bool hit, selector.selects(path));
    if (hit) return true;
  }
  return false;
}

/// The second of PEFT's two reasons under \"auto\": the vocabulary was resized.
bool vocabulary_resized(const SelectionContext& context, const AdapterConfig& config) {
  const auto base_name = config.base_model_name_or_path();
  const bool named = (base_name && !base_name->empty()) ||
                     (context.facts.name_or_path && !context.facts.name_or_path->empty());
  if (!named) return false;
  const auto* live = context.facts.config.find("vocab_size");
  const auto* stored = context.base_config.find("vocab_size");
  if (stored == nullptr || stored->if_int64() == nullptr) return false;
  if (live != nullptr && live->if_int64() != nullptr) {
    return *live->if_int64() != 0 && *live->if_int64() != *stored->if_int64();
  }
  return false;
}

/// Path of the embedding module (base model's own), from the facts or from its name.
std::optional<std::string> find_module(const SelectionContext& context,
                                       const std::optional<std::string>& fact,
                                       std::span<const std::string_view> names, bool prompt) {
  if (fact) return fact;
  for (const auto name : names) {
    for (const auto& path : module_paths(context, prompt)) {
      if (last_component(path) == name) return path;
    }
  }
  return std::nullopt;
}

/// The same without a live model's config: the input embedding's rows are its vocabulary.
bool rows_differ(const SelectionContext& context, const std::string& module,
                 const AdapterConfig& config) {
  const auto* stored = context.base_config.find("vocab_size");
  if (stored == nullptr || stored->if_int64() == nullptr || *stored->if_int64() <= 0) return false;
  const auto base_name = config.base_model_name_or_path();
  if (!base_name || base_name->empty()) return false;
  const auto path = std::string(base_prefix(config.is_prompt_learning())) + module;
  for (const auto* middle : {".weight", ".base_layer.weight", ".original_module.weight"}) {
    const auto view = context.layout.find(path + middle);
    if (view && view->shape().size() == 2) {
      return view->shape()[0] != static_cast<std::uint64_t>(*stored->if_int64());
    }
  }
  return false;
}

void add_module(SelectionBuilder& builder, const std::string& module, bool targeted) {
  const auto& layout = builder.context().layout;
  const bool prompt = builder.method().prompt_learning;
  const auto path = std::string(base_prefix(prompt)) + module + (targeted ? ".base_layer." : ".");
  for (auto entry = layout.entries().lower_bound(path);
       entry != layout.entries().end() && entry->first.starts_with(path); ++entry) {
    // What trainable tokens wrap is the embedding itself; PEFT keeps its path through the wrapper.
    const bool wrapped = entry->first.find(".token_adapter.base_layer.") != std::string::npos;
    if (wrapped) {
      builder.add(entry->first, entry->second);
      continue;
    }
    // Nothing is hung into the model next to a prompt.
    if (!prompt && layout.is_adapter_key(entry->first)) continue;
    builder.add(builder.base_key(entry->first), entry->second);
  }
}

}  // namespace

Result<void> select_embeddings(SelectionBuilder& builder) {
  const auto& context = builder.context();
  const auto& config = builder.adapter().config;
  const auto wanted = builder.adapter().save_embedding_layers.value_or(context.embeddings);
  if (wanted == SaveEmbeddings::kNever) return {};
  FERRULE_TRY(const bool targeted, is_targeted(context, config));
  const bool tokens =
      config.peft_type() == "TRAINABLE_TOKENS" || config.has_trainable_token_indices();
  const auto input = find_module(context, context.facts.input_embeddings, kInputNames,
                                 config.is_prompt_learning());
  const auto output = find_module(context, context.facts.output_embeddings, kOutputNames,
                                  config.is_prompt_learning());
  if (wanted == SaveEmbeddings::kAuto) {
    const bool has_facts = context.facts.config.is_object();
    const bool resized = has_facts ? vocabulary_resized(context, config)
                                   : input && rows_differ(context, *input, config);
    if (!(targeted && !tokens) && !resized) return {};
    builder.add_finding(Severity::kNote, "KY-5", {},
                        targeted && !tokens
                            ? "the embeddings are saved because target_modules names them"
                            : "the embeddings are saved because the vocabulary was resized");
  }
  if (context.facts.is_transformers == false && !context.facts.input_embeddings) {
    builder.add_finding(Severity::kWarning, "KY-5", {},
                        "no embeddings are saved: the model is not a transformers model");
    return {};
  }
  if (!input && !output) {
    builder.add_finding(Severity::kWarning, "KY-5", {},
                        "no embeddings are saved: no module is known by name as one");
    return {};
  }
  if ((input && !context.facts.input_embeddings) || (output && !context.facts.output_embeddings)) {
    builder.add_finding(Severity::kNote, "KY-5", {},
                        "took " + (input ? quote(*input) : std::string("nothing")) +
                            " for the input embedding and " +
                            (output ? quote(*output) : std::string("nothing")) +
                            " for the output embedding, by their names");
  }
  for (const auto& module : {input, output}) {
    if (module) add_module(builder, *module, targeted);
  }
  return {};
}

}  // namespace ferrule::peft
