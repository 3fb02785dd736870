// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "field_value.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string type;
  std::vector<std::string> fields;
  std::string file;
  std::string output;
  bool json = false;
};

/// Prints the text, or writes it to the file of `-o`.
int deliver(const std::string& text, const std::string& output) {
  if (output.empty()) {
    print(Stream::kOut, text + "\n");
    return kGood;
  }
  const auto written = write_text_file(output, text);
  if (written) return kGood;
  report(written.error());
  return exit_code(written.error(), output);
}

int make_new(const Options& options) {
  Json::Object fields;
  for (const auto& field : options.fields) {
    const auto equals = field.find('=');
    if (equals == 0 || equals == std::string::npos) {
      print(Stream::kErr, "ferrule: expected key=value, found " + quote(field) + "\n");
      return kUsage;
    }
    fields.emplace_back(field.substr(0, equals), field_value(field.substr(equals + 1)));
  }
  const auto config = AdapterConfig::make(options.type, fields);
  if (!config) {
    print(Stream::kErr, "ferrule: " + config.error().to_string() + "\n");
    return kUsage;
  }
  report(config->findings());
  return deliver(config->to_json(), options.output);
}

int fail(const Error& error, const Options& options, bool json) {
  report(error);
  if (json) print_json(Json::Object{{"version", 1}, {"error", to_json(error)}});
  return exit_code(error, options.file);
}

int upgrade(const Options& options) {
  const auto config = AdapterConfig::open(options.file);
  if (!config) return fail(config.error(), options, false);
  report(config->findings());
  return deliver(config->to_json(), options.output);
}

void print_fields(const AdapterConfig& config) {
  const auto defaults = AdapterConfig::make(config.peft_type());
  Facts set;
  std::uint64_t untouched = 0;
  for (const auto& [field, value] : *config.document().if_object()) {
    if (field == "peft_type" || field == "peft_version") continue;
    const auto* usual = defaults ? defaults->find(field) : nullptr;
    if (usual != nullptr && *usual == value) {
      ++untouched;
    } else {
      set.add("  " + printable(field, 60), printable(value.dump(), 400));
    }
  }
  print(Stream::kOut, set.to_string());
  print(Stream::kOut, counted(untouched, "field") + " at PEFT's default.\n");
}

int show(const Options& options) {
  const auto config = AdapterConfig::open(options.file);
  if (!config) return fail(config.error(), options, options.json);
  if (options.json) {
    Json json;
    json.set("version", 1);
    json.set("peft_type", config->peft_type());
    json.set("config", config->document());
    json.set("findings", to_json(config->findings()));
    print_json(json);
    return kGood;
  }
  print(Stream::kOut, coloured(Stream::kOut, Colour::kBold, config->peft_type()) + "\n");
  print_fields(*config);
  report(config->findings());
  return kGood;
}

}  // namespace

Action add_config(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.require_subcommand(1);
  command.footer(R"(Examples:
  ferrule config new LORA r=16 lora_alpha=32 target_modules=q_proj,v_proj
  ferrule config new IA3 'target_modules=".*\.k_proj"' -o adapter_config.json
  ferrule config show my-adapter
  ferrule config upgrade old/adapter_config.json -o old/adapter_config.json)");

  auto* fresh = command.add_subcommand("new", "Write a config of a PEFT type with its defaults");
  fresh->add_option("TYPE", options->type, "LORA, IA3, ... (a wrong one lists the nearest)")
      ->required();
  fresh->add_option("FIELD", options->fields, "key=value; the value is JSON, or text as it stands")
      ->type_name("KEY=VALUE");
  fresh->add_option("-o,--output", options->output, "Write to this file instead of printing");

  auto* shown = command.add_subcommand("show", "Show what an adapter_config.json says");
  shown->add_option("FILE", options->file, "A config, or the directory of an adapter")->required();
  shown->add_flag("--json", options->json, "Print the whole config as JSON");

  auto* upgraded = command.add_subcommand(
      "upgrade",
      "Print a config in today's spelling: old types and fields renamed, defaults added");
  upgraded->add_option("FILE", options->file, "A config, or the directory of an adapter")
      ->required();
  upgraded->add_option("-o,--output", options->output, "Write to this file (may be FILE itself)");

  return [=] {
    if (fresh->parsed()) return make_new(*options);
    return shown->parsed() ? show(*options) : upgrade(*options);
  };
}

}  // namespace ferrule::cli
