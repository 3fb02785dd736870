// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/engine_table.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/read_limits.hpp"
#include "print/sarif.hpp"

/// Options that several commands have, each with one name and one help.
namespace ferrule::cli {

/// What ADAPTER is.
inline constexpr const char* kAdapterHelp =
    "Directory of an adapter, user/repo on the Hub, or an hf://, s3:// or https:// address";

/// What adapters of other programs may need besides their own files; "" for nothing.
struct Foreign {
  std::string base;
  std::string config;
};
/// `--base BASE` and `--config FILE` of commands that read adapters of other programs.
void add_foreign(Arguments& command, Foreign& foreign);
/// `--config FILE` alone, of commands whose `--base` is more.
void add_foreign_config(Arguments& command, Foreign& foreign);
/// For open_any(). A base that is not a folder here is looked for elsewhere.
ExchangeOptions foreign_options(const Foreign& foreign);

/// `--json`.
void add_json(Arguments& command, bool& json);

/// `--format text|json|sarif` and `--json`, of commands that report findings.
struct Output {
  OutputFormat format = OutputFormat::kText;
  bool json = false;

  bool is_json() const { return json || format == OutputFormat::kJson; }
  bool is_sarif() const { return !json && format == OutputFormat::kSarif; }
  bool is_text() const { return !is_json() && !is_sarif(); }
};
void add_output(Arguments& command, Output& output);

/// `--torch-key NAME`: the key of the state dict in a torch file that nests it.
void add_torch_key(Arguments& command, OpenOptions& open);

/// `--durability`.
void add_durability(Arguments& command, Durability& durability);

/// `--engine ENGINE` and `--engines FILE`.
struct EngineChoice {
  std::vector<std::string> names;
  std::string table_file;

  /// The table of the file, or null without one, and the names checked against it.
  Result<std::unique_ptr<const EngineTable>> open() const;
};
void add_engines(Arguments& command, EngineChoice& engines, std::string help);

/// "llama.cpp, vllm, ...", of the built-in table.
std::string engine_list();

}  // namespace ferrule::cli
