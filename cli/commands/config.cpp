// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/field_value.hpp"
#include "commands/options.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/table.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string type;
  std::vector<std::string> fields;
  std::string file;
  std::string output;
  bool json = false;
};

/// The document of every subcommand; `output` is the file that was written, if any.
void print_config(const AdapterConfig& config, const std::string& output) {
  print_document({{"peft_type", config.peft_type()},
                  {"config", config.document()},
                  {"output", output.empty() ? Json() : Json(output)},
                  {"findings", to_json(config.findings())}});
}

/// Prints the config, or writes it to the file of `-o`.
int deliver(const AdapterConfig& config, const Options& options) {
  if (!options.output.empty()) {
    const auto written = write_text_file(options.output, config.to_json());
    if (!written) return fail(written.error(), options.json);
  }
  if (options.json) {
    print_config(config, options.output);
    return kGood;
  }
  report(config.findings());
  if (options.output.empty()) print(Stream::kOut, config.to_json() + "\n");
  return kGood;
}

int make_new(const Options& options) {
  constexpr const char* kHint = "Try 'ferrule config new --help'.\n";
  Json::Object fields;
  for (const auto& field : options.fields) {
    const auto equals = field.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail_usage({"expected KEY=VALUE, found " + quote(field)}, kHint, options.json);
    }
    fields.emplace_back(field.substr(0, equals), field_value(field.substr(equals + 1)));
  }
  const auto config = AdapterConfig::make(options.type, fields);
  if (!config) return fail_usage({config.error().to_string()}, kHint, options.json);
  return deliver(*config, options);
}

int upgrade(const Options& options) {
  const auto config = AdapterConfig::open(options.file);
  if (!config) return fail(config.error(), options.json);
  return deliver(*config, options);
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
  if (!config) return fail(config.error(), options.json);
  if (options.json) {
    print_config(*config, {});
    return kGood;
  }
  print(Stream::kOut, colored(Stream::kOut, Color::kBold, config->peft_type()) + "\n");
  print_fields(*config);
  report(config->findings());
  return kGood;
}

}  // namespace

void add_config(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.about(R"(Examples:
  ferrule config new LORA r=16 lora_alpha=32 target_modules=q_proj,v_proj
  ferrule config new IA3 'target_modules=".*\.k_proj"' -o adapter_config.json
  ferrule config show my-adapter
  ferrule config upgrade old/adapter_config.json -o old/adapter_config.json)");

  auto& fresh = command.subcommand("new", "Write a config of a PEFT type with its defaults");
  fresh.positional("TYPE", options->type, "LORA, IA3, ... (a wrong one gets a suggestion)")
      .required()
      .suggested({peft_types().begin(), peft_types().end()});
  fresh.positional("KEY=VALUE", options->fields,
                   "Fields to set; a value is JSON, True, False, None, names with commas, or text");
  fresh.option("-o,--output", options->output, "FILE", "Write to this file instead of printing");
  add_json(fresh, options->json);
  fresh.action([options] { return make_new(*options); });

  auto& shown = command.subcommand("show", "Show what an adapter_config.json sets");
  shown.positional("PATH", options->file, "A config, or the directory of an adapter").required();
  add_json(shown, options->json);
  shown.action([options] { return show(*options); });

  auto& upgraded = command.subcommand(
      "upgrade",
      "Print a config in today's spelling, with types and fields renamed and defaults added");
  upgraded.positional("PATH", options->file, "A config, or the directory of an adapter").required();
  upgraded.option("-o,--output", options->output, "FILE",
                  "Write to this file, which may be PATH itself");
  add_json(upgraded, options->json);
  upgraded.action([options] { return upgrade(*options); });
}

}  // namespace ferrule::cli
