// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/save_pretrained.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "options.hpp"
#include "render.hpp"
#include "save_report.hpp"
#ifdef FERRULE_HAS_HUB
#include "hub_report.hpp"
#endif

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> states;
  std::string output;
  std::vector<std::string> configs;
  std::string initial;
  std::string base;
  std::string model;
  bool fingerprint = false;
  bool no_card = false;
  std::string push;
  bool json = false;
  OpenOptions open;
  SaveOptions save;
};

int fail(const Error& error, const Options& options, const std::filesystem::path& given) {
  report(error);
  if (options.json) print_json(Json::Object{{"version", 1}, {"error", to_json(error)}});
  return exit_code(error, given);
}

/// "NAME=FILE" or "FILE". A file whose own name has a '=' can be given as "default=FILE".
std::pair<std::string, std::string> split_config(const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos) return {"default", argument};
  return {argument.substr(0, equals), argument.substr(equals + 1)};
}

/// The adapter is on disk, whatever becomes of the push.
int push(const SaveReport& saved, const Options& options) {
  auto document = to_json(saved);
  if (!options.json) print_report(saved);
#ifdef FERRULE_HAS_HUB
  HubWatcher watcher("pushing");
  hub::PushOptions settings;
  settings.watcher = watcher.watcher();
  settings.written = saved.written;
  const auto pushed = hub::push(options.output, options.push, settings);
  watcher.clear();
  if (!pushed) {
    const int code = hub_failure(pushed.error(), false);
    print(Stream::kErr, printable(options.output) + ": saved, but not pushed\n");
    document.set("error", hub_error(pushed.error()));
    if (options.json) print_json(document);
    return code;
  }
  document.set("push", to_json(*pushed));
  if (!options.json) print_push(*pushed, watcher);
#endif
  if (options.json) print_json(document);
  return kGood;
}

int save(Options& options) {
  std::vector<NamedConfig> configs;
  for (const auto& argument : options.configs) {
    const auto [name, file] = split_config(argument);
    auto config = AdapterConfig::open(file);
    if (!config) return fail(config.error(), options, file);
    report(config->findings());
    configs.push_back({name, std::move(config).value()});
  }
  if (!options.base.empty()) {
    auto base = read_base_config(options.base);
    if (!base) return fail(base.error(), options, options.base);
    options.save.base_config = std::move(base).value();
  }
  if (options.fingerprint) {
    const auto base = BaseModel::open(options.base);
    if (!base) return fail(base.error(), options, options.base);
    if (!base->has_tensors()) {
      return fail(
          {.code = ErrorCode::kInvalidArgument,
           .message = "--fingerprint needs the base's weights or their index, not its config alone",
           .path = options.base},
          options, options.base);
    }
    options.save.base_fingerprint = base->fingerprint();
  }
  if (!options.model.empty()) {
    auto text = read_text_file(options.model);
    if (!text) return fail(text.error(), options, options.model);
    auto facts = ModelFacts::parse(*text);
    if (!facts) {
      auto error = std::move(facts).error();
      if (error.path.empty()) error.path = options.model;
      return fail(error, options, options.model);
    }
    options.save.facts = std::move(facts).value();
  }
  if (!options.initial.empty()) options.save.initial = options.initial;
  options.save.digests = !options.push.empty();
  options.save.card = options.no_card ? WriteCard::kNo : WriteCard::kYes;

  const std::vector<std::filesystem::path> paths(options.states.begin(), options.states.end());
  const auto state = Checkpoint::open(paths, options.open);
  if (!state) {
    const bool named = !state.error().path.empty();
    return fail(state.error(), options, named ? state.error().path : options.states.front());
  }
  const auto saved = save(*state, configs, options.output, options.save);
  if (!saved) {
    const bool initial = saved.error().path.starts_with(options.initial);
    return fail(saved.error(), options,
                initial && !options.initial.empty() ? options.initial : options.output);
  }
  if (!options.push.empty()) return push(*saved, options);
  if (options.json) {
    print_json(to_json(*saved));
  } else {
    print_report(*saved);
  }
  return kGood;
}

void add_choices(CLI::App& command, Options& options) {
  auto& save = options.save;
  add_choice<WeightsFormat>(
      command, "--format", save.format,
      {{"safetensors", WeightsFormat::kSafetensors}, {"bin", WeightsFormat::kBin}},
      "The weights file [safetensors]");
  add_choice<SaveEmbeddings>(command, "--embeddings", save.save_embedding_layers,
                             {{"auto", SaveEmbeddings::kAuto},
                              {"always", SaveEmbeddings::kAlways},
                              {"never", SaveEmbeddings::kNever}},
                             "Whether the embedding layers are saved too [auto]");
  add_choice<StoredDtype>(command, "--dtype", save.dtype,
                          {{"keep", StoredDtype::kKeep},
                           {"f32", StoredDtype::kF32},
                           {"bf16", StoredDtype::kBF16},
                           {"f16", StoredDtype::kF16}},
                          "What floating-point tensors are rounded to [keep]");
  add_durability(
      command, save.durability,
      "fast flushes nothing, safe is never torn by a power loss, full is on disk too [safe]");
}

}  // namespace

Action add_save(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command
      .add_option("STATE", options->states,
                  "State dict: .safetensors, its .index.json, a torch file, or a directory of "
                  "these; several are joined")
      ->required()
      ->type_name("");
  command.add_option("-o,--output", options->output, "Directory of the adapter")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--config", options->configs,
                  "The adapter's config; NAME is its name in the state dict [default]")
      ->required()
      ->expected(1)
      ->take_all()
      ->type_name("[NAME=]FILE");
  command
      .add_option("--select", options->save.selected_adapters,
                  "Save only this adapter; may be repeated")
      ->expected(1)
      ->take_all()
      ->type_name("NAME");
  add_choices(command, *options);
  add_torch_key(command, options->open);
  command
      .add_option("--initial", options->initial,
                  "The adapter as it was initialised (PiSSA, OLoRA): saves a plain LoRA")
      ->type_name("DIR");
  auto* base = command
                   .add_option("--base", options->base,
                               "Base model's directory or config.json, for --embeddings auto")
                   ->type_name("PATH");
  command
      .add_flag("--fingerprint", options->fingerprint,
                "Keep the fingerprint of --base in the metadata, for ferrule check")
      ->needs(base);
  command.add_option("--model", options->model, "Facts of the live model (docs/model-facts.md)")
      ->type_name("FACTS");
#ifdef FERRULE_HAS_HUB
  command
      .add_option("--push", options->push,
                  "Then push the adapter there; it stays on disk whatever the network does")
      ->type_name("REPO_ID");
#endif
  command.add_flag("--no-card", options->no_card, "Write no README.md");
  command.add_flag("--json", options->json, "Print the report as JSON");
  command.footer(R"(Examples:
  ferrule save checkpoint-500 -o my-adapter --config my-lora/adapter_config.json
  ferrule save model.safetensors -o out --config a=a.json --config b=b.json --select b
  ferrule save checkpoint-500 -o small --config adapter_config.json --dtype bf16)");
  return [options] { return save(*options); };
}

}  // namespace ferrule::cli
