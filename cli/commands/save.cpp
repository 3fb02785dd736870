// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/save_pretrained.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/save_report.hpp"
#include "terminal.hpp"
#ifdef FERRULE_HAS_HUB
#include "print/hub_report.hpp"
#endif

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> states;
  std::string output;
  std::vector<std::string> configs;
  std::string initial;
  std::string base;
  std::string facts;
  bool fingerprint = false;
  bool no_card = false;
  bool plain_card = false;
  std::string push;
  bool json = false;
  OpenOptions open;
  SaveOptions save;
};

/// "NAME=FILE" or "FILE". A file with a '=' in its name can be given as "default=FILE".
std::pair<std::string, std::string> split_config(const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos) return {"default", argument};
  return {argument.substr(0, equals), argument.substr(equals + 1)};
}

/// The adapter stays on disk if the push fails.
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
    document.emplace_back("error", hub_error(pushed.error()));
    if (options.json) print_document(std::move(document));
    return code;
  }
  document.emplace_back("push", to_json(*pushed));
  if (!options.json) print_push(*pushed, watcher);
#endif
  if (options.json) print_document(std::move(document));
  return kGood;
}

/// The config that a state's own folder has, for a checkpoint that is an adapter already.
std::string config_beside(const std::vector<std::string>& states) {
  for (const auto& state : states) {
    std::error_code ignored;
    const auto file = std::filesystem::path(state) / kConfigFile;
    if (std::filesystem::is_regular_file(file, ignored)) return file.string();
  }
  return {};
}

std::optional<Error> read_configs(const Options& options, std::vector<NamedConfig>& configs) {
  for (const auto& argument : options.configs) {
    const auto [name, file] = split_config(argument);
    auto config = AdapterConfig::open(file);
    if (!config) return config.error();
    report(config->findings());
    configs.push_back({name, std::move(config).value()});
  }
  return std::nullopt;
}

std::optional<Error> read_base(Options& options) {
  if (options.base.empty()) return std::nullopt;
  auto config = read_base_config(options.base);
  if (!config) return config.error();
  options.save.base_config = std::move(config).value();
  if (!options.fingerprint) return std::nullopt;
  const auto base = BaseModel::open(options.base);
  if (!base) return base.error();
  if (!base->has_tensors()) {
    return Error{
        .code = ErrorCode::kInvalidArgument,
        .message = "--fingerprint needs the base's weights or their index, not only its config",
        .path = options.base};
  }
  options.save.base_fingerprint = base->fingerprint();
  return std::nullopt;
}

std::optional<Error> read_facts(Options& options) {
  if (options.facts.empty()) return std::nullopt;
  const auto text = read_text_file(options.facts);
  if (!text) return text.error();
  auto facts = ModelFacts::parse(*text);
  if (!facts) {
    auto error = std::move(facts).error();
    if (error.path.empty()) error.path = options.facts;
    return error;
  }
  options.save.facts = std::move(facts).value();
  return std::nullopt;
}

std::string why_beside(const std::filesystem::path& file) {
  if (file.filename() == kSafetensorsFile) {
    return "every tensor in it is empty: adapter_model.bin next to it was taken";
  }
  return "another file of tensors in the checkpoint, which was not read: what it holds is not part "
         "of the adapter";
}

/// Folders in a checkpoint that hold weights of their own (1_Dense of sentence-transformers).
std::vector<std::string> folders_with_weights(const std::filesystem::path& state) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state, ignored)) {
    const auto folder = entry.path();
    const auto name = folder.filename().string();
    if (name.starts_with('.') || !entry.is_directory(ignored)) continue;
    const bool adapter = std::filesystem::exists(folder / kConfigFile, ignored);
    const bool weights = std::filesystem::exists(folder / "model.safetensors", ignored) ||
                         std::filesystem::exists(folder / "pytorch_model.bin", ignored);
    if (weights && !adapter) found.push_back(name + "/");
  }
  std::sort(found.begin(), found.end());
  return found;
}

void list_left_out(const Checkpoint& state, const Options& options, SaveReport& saved) {
  for (const auto& file : state.beside()) {
    saved.left_out.push_back({file.filename().string(), why_beside(file)});
  }
  for (const auto& path : options.states) {
    for (const auto& folder : folders_with_weights(path)) {
      saved.left_out.push_back(
          {folder, "a folder with weights of its own in the checkpoint, which stayed there"});
    }
  }
}

int save(Options& options) {
  if (options.configs.empty()) {
    auto beside = config_beside(options.states);
    if (beside.empty()) {
      return fail_usage(
          {"--config [NAME=]FILE is required: no STATE is a folder with an adapter_config.json"},
          "Usage: ferrule save [options] STATE... -o DIR\n"
          "Try 'ferrule save --help'.\n",
          options.json);
    }
    options.configs.push_back("default=" + std::move(beside));
  }
  std::vector<NamedConfig> configs;
  if (const auto error = read_configs(options, configs)) return fail(*error, options.json);
  if (const auto error = read_base(options)) return fail(*error, options.json);
  if (const auto error = read_facts(options)) return fail(*error, options.json);
  if (!options.initial.empty()) options.save.initial = options.initial;
  options.save.digests = !options.push.empty();
  options.save.card = options.no_card      ? WriteCard::kNo
                      : options.plain_card ? WriteCard::kPlain
                                           : WriteCard::kYes;

  const std::vector<std::filesystem::path> paths(options.states.begin(), options.states.end());
  const auto state = Checkpoint::open(paths, options.open);
  if (!state) return fail(state.error(), options.json);
  Working working("saving to " + printable(options.output));
  auto saved = save(*state, configs, options.output, options.save);
  working.stop();
  if (!saved) return fail(saved.error(), options.json);
  list_left_out(*state, options, *saved);
  if (!options.push.empty()) return push(*saved, options);
  if (options.json) {
    print_document(to_json(*saved));
  } else {
    print_report(*saved);
  }
  return kGood;
}

void add_choices(Arguments& command, SaveOptions& save) {
  command
      .choice<WeightsFormat>(
          "--format", save.format,
          {{"safetensors", WeightsFormat::kSafetensors}, {"bin", WeightsFormat::kBin}},
          "The format of the weights file (default: safetensors)")
      .alias("--to");
  command.choice<SaveEmbeddings>("--embeddings", save.save_embedding_layers,
                                 {{"auto", SaveEmbeddings::kAuto},
                                  {"always", SaveEmbeddings::kAlways},
                                  {"never", SaveEmbeddings::kNever}},
                                 "Whether to save the embedding layers too (default: auto)");
  command.choice<StoredDtype>("--dtype", save.dtype,
                              {{"keep", StoredDtype::kKeep},
                               {"f32", StoredDtype::kF32},
                               {"bf16", StoredDtype::kBF16},
                               {"f16", StoredDtype::kF16}},
                              "Round floating-point tensors to this dtype (default: keep)");
  add_durability(command, save.durability);
}

}  // namespace

void add_save(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->save.threads = 0;
  command
      .positional("STATE", options->states,
                  "The state dict: .safetensors, its .index.json, a torch file, or a directory of "
                  "these; several are joined")
      .required();
  command.option("-o,--output", options->output, "DIR", "Directory of the adapter").required();
  command.option(
      "--config", options->configs, "[NAME=]FILE",
      "The adapter's config; NAME is its name in the state dict, \"default\" without one "
      "(default: the adapter_config.json of a STATE that is a folder)");
  command.option("--select", options->save.selected_adapters, "NAME", "Save only this adapter");
  add_choices(command, options->save);
  add_torch_key(command, options->open);
  command.option("--initial", options->initial, "DIR",
                 "The adapter right after its initialization (PiSSA, OLoRA): saves a plain LoRA");
  command.option("--base", options->base, "PATH",
                 "The base model's directory or config.json, for --embeddings auto");
  command
      .flag("--fingerprint", options->fingerprint,
            "Keep the fingerprint of --base in the metadata, for 'ferrule check'")
      .needs("--base");
  command.option("--facts", options->facts, "FILE", "Facts of the live model (docs/model-facts.md)")
      .alias("--model");
#ifdef FERRULE_HAS_HUB
  command.option("--push", options->push, "REPO_ID",
                 "Push the adapter after saving; it stays on disk if the push fails");
#endif
  command.flag("--no-card", options->no_card, "Do not write a README.md");
  command
      .flag("--plain-card", options->plain_card,
            "Leave the section about Ferrule out of the README.md")
      .excludes("--no-card");
  add_json(command, options->json);
  command.about(
      R"(Any part of a state dict will do, and the base model's tensors can be in it. The adapter
called "default" is written to DIR itself, every other one to DIR/NAME, all of them or
none.

Examples:
  ferrule save checkpoint-500 -o my-adapter --config my-lora/adapter_config.json
  ferrule save model.safetensors -o out --config a=a.json --config b=b.json --select b
  ferrule save checkpoint-500 -o small --config adapter_config.json --dtype bf16)");
  command.action([options] { return save(*options); });
}

}  // namespace ferrule::cli
