// SPDX-License-Identifier: Apache-2.0
#include "adapter/card_body.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "format/card/card_text.hpp"

namespace ferrule::adapter {
namespace {

constexpr std::string_view kFolder = "path/to/this/folder";
constexpr std::size_t kMaxModuleLines = 48;
constexpr std::size_t kMaxNameBytes = 160;

/// Untrusted text as Markdown code that also fits a table's cell.
std::string code(std::string_view text) {
  const std::string safe = printable(text, kMaxNameBytes);
  std::string out = "`";
  for (const char c : safe) {
    // Nothing inside a code span can be escaped: a look-alike stands for what would end it.
    out += c == '`' ? std::string("'") : c == '|' ? std::string("\\|") : std::string(1, c);
  }
  return out += '`';
}

/// A string literal of Python and of C++.
std::string literal(std::string_view text) { return Json(text).dump_python(-1); }

std::string grouped(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string bytes(std::uint64_t value) {
  if (value < 1000) return grouped(value) + " bytes";
  constexpr std::array<std::string_view, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  double scaled = static_cast<double>(value) / 1000;
  std::size_t unit = 0;
  for (; scaled >= 999.95 && unit + 1 < kUnits.size(); ++unit) scaled /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ", scaled);
  return std::string(text.data()).append(kUnits[unit]) + " (" + grouped(value) + " bytes)";
}

std::string number(double value) {
  if (std::abs(value) < 1e15 && value == std::floor(value)) {
    return std::to_string(static_cast<long long>(value));
  }
  return Json(value).dump_python(-1);
}

/// AdapterModule paths that differ in one number only are one line.
struct ModuleGroup {
  std::size_t count = 0;
  std::set<std::uint64_t> numbers;
};

bool is_index(std::string_view segment) {
  return !segment.empty() && segment.size() <= 9 &&
         segment.find_first_not_of("0123456789") == std::string_view::npos;
}

std::map<std::string, ModuleGroup> group_modules(const std::vector<std::string>& paths) {
  std::map<std::string, ModuleGroup> groups;
  for (const std::string& path : paths) {
    std::string pattern;
    std::optional<std::uint64_t> first_number;
    for (std::size_t at = 0; at <= path.size();) {
      const std::size_t end = std::min(path.find('.', at), path.size());
      const std::string segment = path.substr(at, end - at);
      if (at > 0) pattern += '.';
      pattern += is_index(segment) ? "*" : segment;
      if (is_index(segment) && !first_number) first_number = std::stoull(segment);
      at = end + 1;
    }
    ModuleGroup& group = groups[pattern];
    ++group.count;
    if (first_number) group.numbers.insert(*first_number);
  }
  return groups;
}

/// "0-3, 5".
std::string ranges(const std::set<std::uint64_t>& numbers) {
  std::string out;
  for (auto at = numbers.begin(); at != numbers.end();) {
    const std::uint64_t first = *at;
    std::uint64_t last = first;
    for (++at; at != numbers.end() && *at == last + 1; ++at) last = *at;
    if (!out.empty()) out += ", ";
    out += std::to_string(first);
    if (last != first) out.append("-").append(std::to_string(last));
    if (out.size() > kMaxNameBytes) return out + ", ...";
  }
  return out;
}

std::string module_list(const CardAdapter& adapter) {
  const auto groups = group_modules(adapter.module_paths);
  std::string out;
  std::size_t lines = 0;
  std::size_t left = adapter.module_paths.size();
  for (const auto& [pattern, group] : groups) {
    if (lines++ == kMaxModuleLines) return out + "- and " + grouped(left) + " more modules\n";
    left -= group.count;
    out += "- " + (pattern.empty() ? std::string("the model as a whole") : code(pattern));
    const bool one_number = group.numbers.size() == group.count;
    if (group.count > 1) out += ", " + grouped(group.count) + " modules";
    if (!group.numbers.empty() && (group.count > 1 || one_number)) {
      out += " (" + std::string(one_number ? "" : "the first ") + "`*` is " +
             ranges(group.numbers) + ")";
    }
    out += "\n";
  }
  return out;
}

class Table {
 public:
  void row(std::string_view name, const std::string& value) {
    if (value.empty()) return;
    text_ += "| " + std::string(name) + " | " + value + " |\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_ = "| | |\n|---|---|\n";
};

std::string strength(const CardAdapter& adapter) {
  if (!adapter.strength_min || !adapter.strength_max) return {};
  const std::string low = number(*adapter.strength_min);
  return *adapter.strength_min == *adapter.strength_max
             ? low
             : low + " to " + number(*adapter.strength_max);
}

std::string method(const AdapterConfig& config) {
  std::string out = code(config.peft_type());
  if (config.use_dora()) out += ", weight-decomposed (DoRA)";
  if (config.use_rslora()) out += ", rank-stabilised (rsLoRA)";
  return out;
}

std::string rank(const AdapterConfig& config) {
  const auto value = config.rank();
  if (!value) return {};
  const bool has_pattern = !config.rank_pattern().empty();
  return std::to_string(*value) + (has_pattern ? ", other ranks by `rank_pattern`" : "");
}

std::string names(const std::vector<std::string>& all) {
  std::string out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (out.size() > 4 * kMaxNameBytes) return out + " and " + grouped(all.size() - i) + " more";
    out.append(i == 0 ? "" : ", ").append(code(all[i]));
  }
  return out;
}

std::string facts_table(const CardAdapter& adapter) {
  Table table;
  if (const AdapterConfig* config = adapter.config; config != nullptr) {
    table.row("Method", method(*config));
    if (const auto task = config->task_type()) table.row("Task", code(*task));
    table.row("Rank", rank(*config));
    if (const auto alpha = config->alpha()) table.row("Alpha", number(*alpha));
    table.row("Strength", strength(adapter));
    if (config->bias() != "none") table.row("Biases", code(config->bias()));
    table.row("Saved in full", names(config->modules_to_save()));
  }
  if (!adapter.module_paths.empty()) table.row("Modules", grouped(adapter.module_paths.size()));
  table.row("Tensors", grouped(adapter.tensors));
  table.row("Parameters", grouped(adapter.parameters));
  if (!adapter.dtype.empty()) table.row("Stored as", code(adapter.dtype));
  table.row("Size", bytes(adapter.file_bytes));
  if (adapter.name != "default") table.row("Folder", code(adapter.name));
  return table.text();
}

std::string section(const CardAdapter& adapter, bool is_only_one) {
  std::string out = is_only_one && adapter.name == "default"
                        ? std::string("## What is inside\n\n")
                        : "## Adapter " + code(adapter.name) + "\n\n";
  out += facts_table(adapter);
  const std::string modules = module_list(adapter);
  if (!modules.empty()) out += "\nModules of the base model that it changes:\n\n" + modules;
  return out + "\n";
}

std::string auto_class(const CardAdapter& adapter) {
  using Pair = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Pair, 6> kClasses = {{
      {"CAUSAL_LM", "AutoModelForCausalLM"},
      {"FEATURE_EXTRACTION", "AutoModel"},
      {"QUESTION_ANS", "AutoModelForQuestionAnswering"},
      {"SEQ_2_SEQ_LM", "AutoModelForSeq2SeqLM"},
      {"SEQ_CLS", "AutoModelForSequenceClassification"},
      {"TOKEN_CLS", "AutoModelForTokenClassification"},
  }};
  const auto task = adapter.config == nullptr ? std::nullopt : adapter.config->task_type();
  const auto found = std::find_if(kClasses.begin(), kClasses.end(),
                                  [&](const Pair& pair) { return task == pair.first; });
  return found == kClasses.end() ? "AutoModel" : std::string(found->second);
}

std::string load_with_peft(std::span<const CardAdapter> adapters, const CardMetadata& data) {
  std::string out = "## Load it with PEFT\n\n```python\nfrom peft import PeftModel\n";
  if (data.base_model && data.is_transformers) {
    const std::string name = auto_class(adapters[0]);
    out += "from transformers import " + name + "\n\n";
    out += "base = " + name + ".from_pretrained(" + literal(*data.base_model) + ")\n";
  } else {
    out += "\nbase = ...  # the model that the adapter was trained on\n";
  }
  const std::string folder = literal(kFolder);
  const auto where = [](const CardAdapter& adapter) {
    const std::string name = literal(adapter.name);
    return "subfolder=" + name + ", adapter_name=" + name;
  };
  out += "model = PeftModel.from_pretrained(base, " + folder +
         (adapters[0].name == "default" ? std::string() : ", " + where(adapters[0])) + ")\n";
  for (const CardAdapter& adapter : adapters.subspan(1)) {
    const bool is_default = adapter.name == "default";
    out += "model.load_adapter(" + folder + ", " +
           (is_default ? "adapter_name=\"default\"" : where(adapter)) + ")\n";
  }
  return out + "```\n";
}

std::string load_with_ferrule(std::span<const CardAdapter> adapters) {
  const bool in_folder = adapters[0].name != "default";
  const std::string folder =
      std::string(kFolder) + (in_folder ? "/" + adapters[0].name : std::string());
  std::string out = "\n## Load it with Ferrule\n\n```cpp\n#include <ferrule/ferrule.hpp>\n\n";
  out += "auto adapter = ferrule::Adapter::open(" + literal(folder) + ").value();\n";
  out += "for (const auto& module : adapter.modules()) {\n";
  const bool is_lora = adapters[0].config != nullptr && adapters[0].config->peft_type() == "LORA";
  out += is_lora ? "  apply(module.path(), module.tensor(\"lora_A\"), module.tensor(\"lora_B\"), "
                   "module.strength());\n"
                 : "  apply(module.path(), module.tensors(), module.strength());\n";
  out += "}\n```\n\n```sh\n";
  out += "ferrule inspect " + std::string(kFolder) + " --tensors\n";
  out += "ferrule verify " + std::string(kFolder) + "\n```\n";
  return out;
}

}  // namespace

std::string card_content(std::span<const CardAdapter> adapters, const CardMetadata& data) {
  const bool is_only_one = adapters.size() == 1;
  std::string out = is_only_one ? "One adapter" : grouped(adapters.size()) + " adapters";
  out += " in PEFT's format, to be put on top of ";
  if (data.base_model) out += code(*data.base_model) + ", ";
  out += is_only_one ? "the base model it was trained on.\n\n"
                     : "the base model they were trained on.\n\n";
  for (const CardAdapter& adapter : adapters) out += section(adapter, is_only_one);
  out += load_with_peft(adapters, data);
  return data.plain ? out : out + load_with_ferrule(adapters);
}

std::string new_card_body(std::span<const CardAdapter> adapters, const CardMetadata& data) {
  std::string out = "\n# PEFT adapter";
  if (adapters.size() != 1) out += "s";
  if (data.base_model) out += " for " + *data.base_model;
  out += "\n\n" + format::mark_generated(card_content(adapters, data)) + "\n\n";
  return format::with_framework_line(out, data.peft_version, "\n");
}

}  // namespace ferrule::adapter
