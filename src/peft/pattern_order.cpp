// SPDX-License-Identifier: Apache-2.0
// PEFT tries the entries of rank_pattern and alpha_pattern in their order, sorts them when it
// writes the config, and so reads another adapter than it wrote where two entries match one module.
#include "peft/pattern_order.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/disk_key.hpp"
#include "peft/method.hpp"
#include "peft/strength.hpp"
#include "regex/pattern.hpp"

namespace ferrule::peft {
namespace {

// Live scalings pass through a float on some paths (a compiled model keeps them in a tensor).
constexpr double kRelativeTolerance = 1e-6;

// Entries that are taken apart one by one, each time with a look at every module.
constexpr int kMaxRounds = 16;

bool near(double a, double b) {
  return std::abs(a - b) <= kRelativeTolerance * std::max(std::abs(a), std::abs(b));
}

bool same(const std::optional<double>& a, const std::optional<double>& b) {
  return a.has_value() == b.has_value() && (!a || near(*a, *b));
}

struct Entry {
  std::string text;
  double value;
  regex::Pattern pattern;
};

class Table {
 public:
  static Result<Table> compile(const PatternTable& table) {
    Table out;
    for (const auto& [text, value] : table) FERRULE_CHECK(out.add(text, value));
    return out;
  }

  Result<void> add(const std::string& text, double value) {
    FERRULE_TRY(auto pattern, regex::Pattern::compile_entry(text));
    entries_.push_back({text, value, std::move(pattern)});
    return {};
  }

  void sort() {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.text < b.text; });
  }

  /// The first entry that matches; PEFT looks the path up as a key if none does.
  Result<const Entry*> winner(std::string_view path) const {
    for (const auto& entry : entries_) {
      FERRULE_TRY(const bool hit, entry.pattern.match(path));
      if (hit) return &entry;
    }
    for (const auto& entry : entries_) {
      if (entry.text == path) return &entry;
    }
    return nullptr;
  }

  bool has(std::string_view text) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [text](const Entry& entry) { return entry.text == text; });
  }

  void remove(const std::string& text) {
    std::erase_if(entries_, [&text](const Entry& entry) { return entry.text == text; });
  }

  void keep(const std::set<std::string>& texts) {
    std::erase_if(entries_, [&texts](const Entry& entry) { return !texts.contains(entry.text); });
  }

  PatternTable take() const {
    PatternTable out;
    for (const auto& entry : entries_) out.emplace_back(entry.text, entry.value);
    return out;
  }

 private:
  std::vector<Entry> entries_;
};

/// The entry for one module. Its dots stay as they are, since engines read such entries as plain
/// paths, and no two modules of a model differ in a dot alone.
std::string entry_of(std::string_view path) {
  std::string text;
  for (const char c : path) {
    if (std::string_view("\\^$*+?{}[]()|").find(c) != std::string_view::npos) text += '\\';
    text += c;
  }
  return text;
}

Result<void> anchor(Table& table, std::string_view path, double value) {
  const auto text = entry_of(path);
  table.remove(text);
  return table.add(text, value);
}

using Value = std::optional<double> WantedStrength::*;

/// The first module that gets another value than it should, once the entries are sorted.
Result<const WantedStrength*> first_wrong(const Table& table, std::optional<double> fallback,
                                          std::span<const WantedStrength> wanted, Value which) {
  for (const auto& module : wanted) {
    if (!(module.*which)) continue;
    FERRULE_TRY(const auto* entry, table.winner(module.path));
    if (!same(entry == nullptr ? fallback : std::optional(entry->value), module.*which)) {
      return &module;
    }
  }
  return nullptr;
}

/// Gives every module of which `text` decides rightly an entry of its own, and drops `text`.
Result<void> split_entry(Table& table, const std::string& text,
                         std::span<const WantedStrength> wanted, Value which) {
  std::vector<std::pair<std::string, double>> own;
  for (const auto& module : wanted) {
    FERRULE_TRY(const auto* entry, table.winner(module.path));
    if (entry == nullptr || entry->text != text || !(module.*which)) continue;
    if (near(entry->value, *(module.*which))) own.emplace_back(module.path, entry->value);
  }
  table.remove(text);
  for (const auto& [path, value] : own) FERRULE_CHECK(anchor(table, path, value));
  return {};
}

}  // namespace

Result<PatternTable> order_free(const PatternTable& given, std::optional<double> fallback,
                                std::span<const WantedStrength> wanted, bool rank) {
  const Value which = rank ? &WantedStrength::rank : &WantedStrength::alpha;
  FERRULE_TRY(auto table, Table::compile(given));
  std::set<std::string> deciding;
  for (const auto& module : wanted) {
    FERRULE_TRY(const auto* entry, table.winner(module.path));
    if (entry != nullptr) deciding.insert(entry->text);
  }
  table.sort();
  FERRULE_TRY(const auto* wrong, first_wrong(table, fallback, wanted, which));
  if (wrong == nullptr) return given;
  table.keep(deciding);
  for (int round = 0; round < kMaxRounds; ++round) {
    FERRULE_TRY(wrong, first_wrong(table, fallback, wanted, which));
    if (wrong == nullptr) return table.take();
    FERRULE_TRY(const auto* entry, table.winner(wrong->path));
    if (entry != nullptr) {
      const std::string text = entry->text;
      FERRULE_CHECK(split_entry(table, text, wanted, which));
    } else {
      FERRULE_CHECK(anchor(table, wrong->path, *(wrong->*which)));
    }
    table.sort();
  }
  // Too tangled to keep any of it: one entry a module.
  Table plain;
  for (const auto& module : wanted) {
    if (same(fallback, module.*which) || !(module.*which)) continue;
    FERRULE_CHECK(plain.add(entry_of(module.path), *(module.*which)));
  }
  plain.sort();
  return plain.take();
}

namespace {

bool has_rank_pattern(std::string_view type) {
  return type == "LORA" || type == "LOHA" || type == "LOKR" || type == "DELORA";
}

bool has_alpha_pattern(std::string_view type) {
  return type == "LORA" || type == "LOHA" || type == "LOKR";
}

/// Rank of each module by its tensors; no entry where two of them disagree.
std::map<std::string, double, std::less<>> stored_ranks(const AdapterConfig& config,
                                                        const Method& method,
                                                        const container::TensorPlan& tensors) {
  std::map<std::string, double, std::less<>> ranks;
  std::set<std::string, std::less<>> unclear;
  for (const auto& tensor : tensors) {
    const auto parsed = parse_disk_key(tensor.name, config, method);
    if (parsed.kind != KeyKind::kMethod) continue;
    for (const auto& [attribute, axis] : method.ranks) {
      if (parsed.attribute != attribute) continue;
      const auto size = static_cast<int>(tensor.shape.size());
      const int at = axis < 0 ? size + axis : axis;
      if (at < 0 || at >= size) continue;
      const auto rank = static_cast<double>(tensor.shape[static_cast<std::size_t>(at)]);
      const std::string path(base_path(parsed.module));
      const auto [place, inserted] = ranks.emplace(path, rank);
      if (!inserted && place->second != rank) unclear.insert(path);
    }
  }
  for (const auto& path : unclear) ranks.erase(path);
  return ranks;
}

/// Whether some entry that matches the module, or the default, says that value: then the order of
/// the entries explains it, and otherwise the config is another adapter's.
Result<bool> explained(const PatternTable& table, std::optional<double> fallback,
                       std::string_view path, double value) {
  if (fallback && near(*fallback, value)) return true;
  for (const auto& [text, entry] : table) {
    if (!near(entry, value)) continue;
    FERRULE_TRY(const auto pattern, regex::Pattern::compile_entry(text));
    FERRULE_TRY(const bool hit, pattern.match(path));
    if (hit || text == path) return true;
  }
  return false;
}

Json number(double value) {
  constexpr double kWhole = 1e15;
  const bool whole = std::trunc(value) == value && std::abs(value) < kWhole;
  return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

std::string text_of(double value) { return Json(value).dump_python(-1); }

Json to_json(const PatternTable& table) {
  Json::Object out;
  for (const auto& [text, value] : table) out.emplace_back(text, number(value));
  return Json(std::move(out));
}

Finding about(Severity severity, std::string rule, std::string_view key, std::string message,
              std::string advice = {}) {
  return {.severity = severity,
          .rule = std::move(rule),
          .path = {},
          .key = std::string(key),
          .message = std::move(message),
          .advice = std::move(advice)};
}

class Settler {
 public:
  Settler(AdapterConfig& config, const LiveScalings& live)
      : config_(config),
        live_(live),
        ranks_(config.rank_pattern()),
        alphas_(config.alpha_pattern()) {
    if (const auto rank = config.rank()) rank_ = static_cast<double>(*rank);
  }

  Result<std::vector<Finding>> settle(const Method& method, const container::TensorPlan& tensors) {
    FERRULE_TRY(const auto resolver, StrengthResolver::compile(config_));
    const auto stored = stored_ranks(config_, method, tensors);
    std::set<std::string, std::less<>> paths;
    for (const auto& [path, rank] : stored) paths.insert(path);
    for (const auto& [path, scaling] : live_) paths.insert(path);
    for (const auto& path : paths) {
      const auto asked = pattern_paths(config_, path);
      if (asked.size() != 1) continue;  // The file does not tell which parameter it is.
      FERRULE_TRY(const auto resolved, resolver.resolve(path));
      FERRULE_CHECK(want(path, asked.front(), resolved, stored));
    }
    report_rescaled();
    FERRULE_CHECK(write("rank_pattern", ranks_, rank_, true));
    FERRULE_TRY(const bool done, write_one_alpha());
    if (done) return std::move(findings_);
    FERRULE_CHECK(write("alpha_pattern", alphas_, config_.alpha(), false));
    return std::move(findings_);
  }

 private:
  Result<void> want(const std::string& path, const std::string& asked,
                    const ModuleStrength& resolved,
                    const std::map<std::string, double, std::less<>>& stored) {
    WantedStrength module{.path = asked, .rank = resolved.rank, .alpha = resolved.alpha};
    const auto rank = stored.find(path);
    // Fused experts hold r rows for each expert.
    if (rank != stored.end() && config_.target_parameters().empty() &&
        !same(resolved.rank, rank->second)) {
      FERRULE_TRY(const bool known, explained(ranks_, rank_, asked, rank->second));
      if (known) module.rank = rank->second;
    }
    if (const auto live = live_.find(path); live != live_.end()) {
      FERRULE_CHECK(follow(path, live->second, resolved, module));
    }
    wanted_.push_back(std::move(module));
    return {};
  }

  /// The alpha that gives the live scaling.
  Result<void> follow(const std::string& path, double live, const ModuleStrength& resolved,
                      WantedStrength& module) {
    if (!resolved.strength || !module.rank || *module.rank <= 0 || !resolved.alpha) return {};
    const bool can_say = has_alpha_pattern(config_.peft_type());
    const double divisor = config_.use_rslora() ? std::sqrt(*module.rank) : *module.rank;
    const double written = can_say ? *module.alpha / divisor : *resolved.strength;
    if (near(live, written)) return {};
    const double alpha = live * divisor;
    FERRULE_TRY(const bool order, explained(alphas_, config_.alpha(), module.path, alpha));
    if (can_say) module.alpha = near(alpha, std::round(alpha)) ? std::round(alpha) : alpha;
    if (order && can_say) return {};
    if (rescaled_++ != 0) return {};
    const auto factor = written == 0 ? std::string("no") : text_of(live / written);
    first_rescaled_ = "the layer " + quote(path) + " has the live scaling " + text_of(live) +
                      ", and its config says " + text_of(written) + " (a factor of " + factor + ")";
    return {};
  }

  void report_rescaled() {
    if (rescaled_ == 0) return;
    if (rescaled_ > 1) first_rescaled_ += ", one of " + std::to_string(rescaled_) + " such layers";
    findings_.push_back(about(
        Severity::kWarning, "KY-12", {}, first_rescaled_,
        has_alpha_pattern(config_.peft_type())
            ? "the alphas are written so that the live scaling comes back; if it was changed only "
              "for a while (set_scale), set it back before saving"
            : "the saved adapter will have what its config says"));
  }

  /// Without patterns, one alpha for all layers is the config's own.
  Result<bool> write_one_alpha() {
    const auto field = config_.peft_type() == "LORA" ? "lora_alpha" : "alpha";
    if (!alphas_.empty() || wanted_.empty() || live_.empty()) return false;
    for (const auto& module : wanted_) {
      if (!same(module.alpha, wanted_.front().alpha)) return false;
    }
    if (!wanted_.front().alpha || same(wanted_.front().alpha, config_.alpha())) return false;
    FERRULE_CHECK(config_.set(field, number(*wanted_.front().alpha)));
    return true;
  }

  Result<void> write(const char* field, const PatternTable& given, std::optional<double> fallback,
                     bool rank) {
    const bool applies =
        rank ? has_rank_pattern(config_.peft_type()) : has_alpha_pattern(config_.peft_type());
    if (!applies) return {};
    FERRULE_TRY(const auto table, order_free(given, fallback, wanted_, rank));
    if (table == given) return sort_field(field);
    FERRULE_CHECK(config_.set(field, to_json(table)));
    findings_.push_back(about(
        Severity::kNote, "CF-14", field,
        std::string(field) + " is written with " + std::to_string(table.size()) +
            " entries, whose order does not matter, in place of " + std::to_string(given.size()) +
            ": PEFT sorts them when it writes, and would read other values again"));
    return {};
  }

  /// As PEFT writes it: what is read from now on is what will be read again.
  Result<void> sort_field(const char* field) {
    const auto* table = config_.find(field);
    if (table == nullptr || table->if_object() == nullptr) return {};
    auto members = *table->if_object();
    std::stable_sort(members.begin(), members.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    return config_.set(field, Json(std::move(members)));
  }

  AdapterConfig& config_;
  const LiveScalings& live_;
  PatternTable ranks_;
  PatternTable alphas_;
  std::optional<double> rank_;
  std::vector<WantedStrength> wanted_;
  std::vector<Finding> findings_;
  std::size_t rescaled_ = 0;
  std::string first_rescaled_;
};

}  // namespace

Result<std::vector<Finding>> settle_patterns(AdapterConfig& config,
                                             const container::TensorPlan& tensors,
                                             const LiveScalings& live) {
  const auto* method = find_method(config.peft_type());
  const auto& type = config.peft_type();
  const bool tells = has_rank_pattern(type) || has_alpha_pattern(type);
  const bool patterns = !config.rank_pattern().empty() || !config.alpha_pattern().empty();
  if (method == nullptr || (live.empty() && !(tells && patterns))) return std::vector<Finding>();
  return Settler(config, live).settle(*method, tensors);
}

}  // namespace ferrule::peft
