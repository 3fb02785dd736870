// SPDX-License-Identifier: Apache-2.0
#include "commands/options.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "ferrule/check.hpp"
#include "ferrule/text.hpp"

namespace ferrule::cli {
namespace {

std::vector<std::string> engine_ids() {
  std::vector<std::string> ids;
  for (const auto& engine : serving_engines()) ids.emplace_back(engine.id);
  return ids;
}

}  // namespace

void add_json(Arguments& command, bool& json) {
  command.flag("--json", json, "Print one JSON document (docs/cli.md)");
}

void add_output(Arguments& command, Output& output) {
  command.choice<OutputFormat>("--format", output.format,
                               {{"text", OutputFormat::kText},
                                {"json", OutputFormat::kJson},
                                {"sarif", OutputFormat::kSarif}},
                               "What to print: text, one JSON document (docs/cli.md), or a SARIF "
                               "2.1.0 log (default: text)");
  command.flag("--json", output.json, "The same as --format json").excludes("--format");
}

void add_foreign(Arguments& command, Foreign& foreign) {
  command.option("--base", foreign.base, "BASE",
                 "For an adapter of another program whose names depend on the model: the base's "
                 "folder");
  add_foreign_config(command, foreign);
}

void add_foreign_config(Arguments& command, Foreign& foreign) {
  command.option("--config", foreign.config, "FILE",
                 "For an adapter of another program that does not hold its own strength: the file "
                 "that does");
}

ExchangeOptions foreign_options(const Foreign& foreign) {
  ExchangeOptions options;
  options.open.allow_errors = true;  // The commands report them in their own ways.
  std::error_code ignored;
  if (!foreign.base.empty() && std::filesystem::exists(foreign.base, ignored)) {
    options.base = foreign.base;
  }
  if (!foreign.config.empty()) options.config = foreign.config;
  return options;
}

void add_torch_key(Arguments& command, OpenOptions& open) {
  command
      .option("--torch-key", open.torch_key, "NAME",
              "In a torch file that nests its state dict: the key of the state dict")
      .alias("--key")
      .suggested({"state_dict", "model", "module"});
}

void add_durability(Arguments& command, Durability& durability) {
  command.choice<Durability>(
      "--durability", durability,
      {{"fast", Durability::kFast}, {"safe", Durability::kSafe}, {"full", Durability::kFull}},
      "How the files survive a power loss: fast may lose or tear them, safe never tears them, full "
      "has them on disk before it returns (default: safe)");
}

Result<std::unique_ptr<const EngineTable>> EngineChoice::open() const {
  std::unique_ptr<const EngineTable> table;
  if (!table_file.empty()) {
    auto opened = EngineTable::open(table_file);
    if (!opened) return std::move(opened).error();
    table = std::make_unique<const EngineTable>(std::move(*opened));
  }
  for (const auto& name : names) {
    const auto known = (table ? *table : EngineTable::built_in()).check_name(name);
    if (!known) return known.error();
  }
  return table;
}

void add_engines(Arguments& command, EngineChoice& engines, std::string help) {
  command.option("--engine", engines.names, "ENGINE", std::move(help))
      .alias("--for")
      .suggested(engine_ids())
      .check([&engines](const std::string& word) -> std::string {
        // A table of the user's is read later, and may have other engines.
        if (!engines.table_file.empty()) return {};
        const auto ids = engine_ids();
        const auto id = word.substr(0, word.find('@'));
        if (std::find(ids.begin(), ids.end(), id) == ids.end())
          return "no engine is called " + quote(id) + did_you_mean(id, ids);
        const auto known = EngineTable::built_in().check_name(word);
        return known ? std::string() : known.error().message;
      });
  command
      .option("--engines", engines.table_file, "FILE",
              "Take what engines do from this table, in place of the built-in one "
              "(docs/check.md has the format)")
      .alias("--engine-table");
}

std::string engine_list() {
  std::string list;
  for (const auto& id : engine_ids()) list += (list.empty() ? "" : ", ") + id;
  return list;
}

}  // namespace ferrule::cli
