// SPDX-License-Identifier: Apache-2.0
#include "print/inspect_report.hpp"

#include <string>
#include <utility>

#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/table.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

std::string dtypes_text(const TensorTotals& totals) {
  std::string text;
  for (const auto& [dtype, count] : totals.dtypes) {
    text += (text.empty() ? "" : ", ") + std::string(dtype_name(dtype));
  }
  return text;
}

std::string totals_text(const TensorTotals& totals) {
  return counted(totals.tensors, "tensor") + ", " + counted(totals.parameters, "parameter") +
         (totals.dtypes.empty() ? "" : ", " + dtypes_text(totals));
}

void print_tensors(Table& table) {
  print(Stream::kOut, "\n" + table.to_string(terminal_columns()));
}

Table tensor_table() { return Table({{"TENSOR"}, {"DTYPE"}, {"SHAPE"}, {"BYTES", Align::kRight}}); }

void add_row(Table& table, std::string_view name, Dtype dtype, std::span<const std::uint64_t> shape,
             std::uint64_t bytes) {
  table.add(
      {printable(name, 400), std::string(dtype_name(dtype)), shape_text(shape), grouped(bytes)});
}

/// "16", or "8 to 32" if modules differ.
struct Range {
  std::optional<double> low, high;
  void add(std::optional<double> value) {
    if (!value) return;
    low = low && *low < *value ? low : value;
    high = high && *high > *value ? high : value;
  }
  std::string text() const {
    if (!low) return {};
    if (*low == *high) return plain_number(*low);
    return plain_number(*low) + " to " + plain_number(*high);
  }
};

void add_config(Facts& facts, const Adapter& adapter) {
  const auto& config = adapter.config();
  if (const auto task = config.task_type()) facts.add("task", printable(*task, 100));
  if (const auto base = config.base_model_name_or_path()) {
    facts.add("base model", printable(*base, 400));
  }
  Range rank, strength;
  std::uint64_t modules = 0;
  for (const auto& module : adapter.modules()) {
    if (!module.path().empty()) ++modules;
    rank.add(module.resolved().rank);
    strength.add(module.resolved().strength);
  }
  if (!rank.text().empty()) facts.add("rank", rank.text());
  if (const auto alpha = config.alpha()) facts.add("alpha", plain_number(*alpha));
  if (!strength.text().empty()) facts.add("strength", strength.text());
  if (modules > 0) facts.add("modules", grouped(modules));
  if (!config.modules_to_save().empty()) {
    std::string names;
    for (const auto& name : config.modules_to_save()) {
      names += (names.empty() ? "" : ", ") + printable(name, 100);
    }
    facts.add("saved in full", printable(names, 400));
  }
}

}  // namespace

void print_adapter(const Adapter& adapter, const ReportOptions& options) {
  if (options.json) return print_document(to_json(adapter, options.tensors));
  TensorTotals totals;
  for (const auto& tensor : adapter.tensors()) totals.add(tensor.tensor);
  print(Stream::kOut,
        colored(Stream::kOut, Color::kBold, printable(adapter.directory().string())) + "\n");
  Facts facts;
  facts.add("type", printable(adapter.config().peft_type()));
  add_config(facts, adapter);
  facts.add("tensors", totals_text(totals));
  facts.add("weights", printable(adapter.weights_file().filename().string()) + ", " +
                           human_bytes(adapter.file_bytes()));
  print(Stream::kOut, facts.to_string());
  if (!options.tensors) return;
  auto table = tensor_table();
  for (const auto& tensor : adapter.tensors()) {
    add_row(table, tensor.key, tensor.tensor.dtype(), tensor.tensor.shape(),
            tensor.tensor.bytes().size());
  }
  print_tensors(table);
}

void print_file(const ContainerSummary& file, const ReportOptions& options) {
  if (options.json) return print_document(to_json(file, options.tensors));
  std::string names;
  for (const auto& path : file.files) {
    names += (names.empty() ? "" : ", ") + printable(path.string(), 400);
  }
  print(Stream::kOut, colored(Stream::kOut, Color::kBold, printable(names)) + "\n");
  Facts facts;
  facts.add("container", file.container);
  facts.add("size", human_bytes(file.file_bytes));
  facts.add("tensors", totals_text(file.totals));
  for (const auto& [key, value] : file.metadata) {
    facts.add(printable(key, 40), printable(value, 100));
  }
  print(Stream::kOut, facts.to_string());
  if (!options.tensors) return;
  auto table = tensor_table();
  for (const auto& tensor : file.tensors) {
    add_row(table, tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  }
  print_tensors(table);
}

void print_folder(const FolderSummary& folder, const std::filesystem::path& root,
                  const ReportOptions& options) {
  if (options.json) return print_document(to_json(folder, root));
  Table table({{"ADAPTER"},
               {"TYPE"},
               {"RANK", Align::kRight},
               {"TENSORS", Align::kRight},
               {"PARAMETERS", Align::kRight},
               {"SIZE", Align::kRight},
               {"DTYPE"},
               {"BASE MODEL"}});
  for (const auto& adapter : folder.adapters) {
    auto name = adapter.directory.lexically_relative(root).string();
    table.add({printable(name, 400), adapter.good() ? printable(adapter.peft_type, 40) : "BAD",
               adapter.rank ? std::to_string(*adapter.rank) : "", grouped(adapter.totals.tensors),
               grouped(adapter.totals.parameters), human_bytes(adapter.file_bytes),
               dtypes_text(adapter.totals), printable(adapter.base_model.value_or(""), 200)});
  }
  print(Stream::kOut, table.to_string(terminal_columns()));
  const auto bad = folder.bad();
  print(Stream::kOut, counted(folder.adapters.size(), "adapter") + ", " +
                          totals_text(folder.totals()) + ", " + human_bytes(folder.file_bytes()) +
                          (bad > 0 ? ", " + grouped(bad) + " bad" : "") + "\n");
  for (const auto& adapter : folder.adapters) {
    if (adapter.system_error) report(*adapter.system_error);
    if (!adapter.good()) report(adapter.findings);
  }
  for (const auto& error : folder.unreadable) report(error);
}

}  // namespace ferrule::cli
