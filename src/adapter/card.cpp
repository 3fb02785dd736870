// SPDX-License-Identifier: Apache-2.0
#include "adapter/card.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "adapter/card_body.hpp"
#include "adapter/card_metadata.hpp"
#include "base/errors.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "format/card/card_text.hpp"
#include "format/card/front_matter.hpp"
#include "format/card/hub_id.hpp"
#include "format/card/yaml_scalar.hpp"

namespace ferrule::adapter {
namespace {

using format::YamlBlock;
using format::YamlEdit;
using format::YamlEntry;
using Strings = std::vector<std::string>;

Finding finding(Severity severity, std::string rule, std::string key, std::string message,
                std::string advice = {}) {
  return {severity, std::move(rule), {}, std::move(key), std::move(message), std::move(advice)};
}

Finding left_alone(const Error& error) {
  return finding(Severity::kWarning, error.rule, {}, error.message,
                 "the card was left as it is; correct it by hand, or remove it and save again");
}

/// What keeps a card from being read as text at all.
std::optional<Error> unreadable(std::string_view text) {
  if (text.size() > format::kMaxCardBytes) {
    return base::over_limit("MC-1", "expected a card of at most " +
                                        std::to_string(format::kMaxCardBytes) + " bytes, found " +
                                        std::to_string(text.size()));
  }
  if (text.find('\0') != std::string_view::npos || !base::is_utf8(text)) {
    return base::corrupt("MC-2", "expected UTF-8 text in the card, found other bytes");
  }
  return std::nullopt;
}

/// As Python's bool() of the value.
bool is_set(const YamlEntry* entry) {
  if (entry == nullptr) return false;
  switch (entry->kind) {
    case YamlEntry::Kind::kNull:
      return false;
    case YamlEntry::Kind::kString:
      return !entry->text.empty();
    case YamlEntry::Kind::kScalar:
      return entry->text != "0" && entry->text[0] != 'f' && entry->text[0] != 'F' &&
             entry->text[0] != 'n' && entry->text[0] != 'N' && entry->text != "off" &&
             entry->text != "Off" && entry->text != "OFF";
    case YamlEntry::Kind::kStrings:
    case YamlEntry::Kind::kOther:
      return !entry->is_empty;
  }
  return true;
}

/// Decides what the keys of an existing card will hold.
class Merge {
 public:
  Merge(const CardMetadata& data, const YamlBlock& block, std::vector<Finding>& findings)
      : data_(data), block_(block), findings_(findings) {}

  std::vector<YamlEdit> edits() {
    std::vector<YamlEdit> out;
    base_model(out);
    out.push_back({"library_name", std::string("peft")});
    if (data_.pipeline_tag && !is_set(block_.find("pipeline_tag"))) {
      out.push_back({"pipeline_tag", *data_.pipeline_tag});
    }
    tags(out);
    return out;
  }

 private:
  void base_model(std::vector<YamlEdit>& out) {
    if (data_.base_model) {
      out.push_back({"base_model", *data_.base_model});
      return;
    }
    const YamlEntry* entry = block_.find("base_model");
    const bool is_same_path = entry != nullptr && data_.local_base_model &&
                              entry->kind == YamlEntry::Kind::kString &&
                              entry->text == *data_.local_base_model;
    if (!is_same_path) return;
    out.push_back({"base_model", std::monostate()});
    findings_.push_back(finding(Severity::kNote, "MC-5", "base_model",
                                "removed base_model " + quote(entry->text) +
                                    ": it is a path on the machine that trained the adapter"));
  }

  void tags(std::vector<YamlEdit>& out) {
    Strings wanted = data_.tags;
    const YamlEntry* entry = block_.find("tags");
    const bool has_list = entry != nullptr && entry->kind == YamlEntry::Kind::kStrings;
    // If the base model is not known, the card is the only source.
    if (has_list && !data_.base_model) {
      std::copy_if(entry->items.begin(), entry->items.end(), std::back_inserter(wanted),
                   [](const std::string& tag) {
                     return tag.compare(0, kAdapterTag.size(), kAdapterTag) == 0 &&
                            format::is_hub_id(std::string_view(tag).substr(kAdapterTag.size()));
                   });
      std::sort(wanted.begin(), wanted.end());
      wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    }
    if (wanted.empty()) return;
    if (has_list) note_lost(entry->items, wanted);
    out.push_back({"tags", std::move(wanted)});
  }

  void note_lost(const Strings& before, const Strings& after) {
    std::string lost;
    for (const std::string& tag : before) {
      if (std::find(after.begin(), after.end(), tag) != after.end()) continue;
      if (lost.size() > 400) {
        lost += " ...";
        break;
      }
      lost += (lost.empty() ? "" : ", ") + quote(tag, 80);
    }
    if (lost.empty()) return;
    findings_.push_back(finding(Severity::kNote, "MC-6", "tags",
                                "tags of the card were replaced, as PEFT does; gone: " + lost));
  }

  const CardMetadata& data_;
  const YamlBlock& block_;
  std::vector<Finding>& findings_;
};

std::string new_front_matter(const std::vector<YamlEdit>& edits, std::string_view eol) {
  std::string yaml;
  for (const YamlEdit& edit : edits) {
    if (const auto* text = std::get_if<std::string>(&edit.value)) {
      yaml += format::dump_yaml_entry(edit.key, *text, eol);
    } else if (const auto* items = std::get_if<Strings>(&edit.value)) {
      yaml += format::dump_yaml_entry(edit.key, *items, eol);
    }
    yaml += eol;
  }
  return "---" + std::string(eol) + yaml + "---" + std::string(eol);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\xef\xbb\xbf") == std::string_view::npos;
}

/// The text of an existing card with its generated part replaced and the framework line added.
std::string update_body(std::string_view body, std::string_view eol,
                        std::span<const CardAdapter> adapters, const CardMetadata& data,
                        std::vector<Finding>& findings) {
  std::string out(body);
  if (const auto part = format::find_generated(body)) {
    const std::string content = card_content(adapters, data);
    if (!part->is_untouched && part->content != content) {
      findings.push_back(finding(Severity::kNote, "MC-9", {},
                                 "the card's description was edited by hand and stays as it is; it "
                                 "may speak of an earlier save",
                                 "remove the card to have a new one written"));
    } else if (part->is_untouched && part->content != content) {
      const std::string old = format::mark_generated(part->content);
      const auto at = out.find(old);
      if (at != std::string::npos) out.replace(at, old.size(), format::mark_generated(content));
    }
  }
  return format::with_framework_line(out, data.peft_version, eol);
}

void note_left_out(const CardMetadata& data, std::vector<Finding>& findings) {
  if (!data.local_base_model) return;
  const std::string& name = *data.local_base_model;
  findings.push_back(
      finding(Severity::kNote, "MC-5", "base_model",
              name.empty() ? "the base model's name is empty: the card names no base_model"
                           : quote(name) + " is a local path or no id of the Hub, "
                                           "\"name\" or \"namespace/name\": the card names no "
                                           "base_model",
              "write base_model into the card by hand: it will be kept"));
}

std::vector<Finding> duplicate_keys(const YamlBlock& block) {
  std::vector<Finding> out;
  std::set<std::string_view> seen;
  std::set<std::string_view> reported;
  for (const YamlEntry& entry : block.entries) {
    if (seen.insert(entry.key).second || !reported.insert(entry.key).second) continue;
    if (out.size() == 20) break;
    out.push_back(finding(Severity::kWarning, "MC-4", entry.key,
                          "expected each key of the front matter once, found " + quote(entry.key) +
                              " again: the last one counts",
                          "the Hub refuses such a card"));
  }
  return out;
}

CardResult make_new(std::span<const CardAdapter> adapters, const CardMetadata& data) {
  CardResult result;
  note_left_out(data, result.findings);
  const YamlBlock empty;
  result.text = new_front_matter(Merge(data, empty, result.findings).edits(), "\n");
  result.text += new_card_body(adapters, data);
  return result;
}

/// A live model's active adapter is not known here; nearly always it is the one called default.
const CardAdapter& active(std::span<const CardAdapter> adapters) {
  const auto found = std::find_if(adapters.begin(), adapters.end(),
                                  [](const CardAdapter& each) { return each.name == "default"; });
  return found == adapters.end() ? adapters[0] : *found;
}

/// `existing` with its keys set, or the reason why it has to stay as it is.
Result<std::string> update(std::span<const CardAdapter> adapters, const CardMetadata& data,
                           std::string_view existing, std::vector<Finding>& findings) {
  if (const auto error = unreadable(existing)) return *error;
  const format::CardParts parts = format::split_card(existing);
  auto block = format::parse_yaml_block(parts.yaml);
  if (!block) return std::move(block).error();
  const std::vector<YamlEdit> edits = Merge(data, *block, findings).edits();
  const std::string body = update_body(parts.body, parts.eol, adapters, data, findings);
  std::string text(parts.opening);
  if (!parts.has_front_matter) return text + new_front_matter(edits, parts.eol) + body;
  auto yaml = format::edit_yaml_block(parts.yaml, edits, parts.eol);
  if (!yaml) return std::move(yaml).error();
  for (Finding& each : duplicate_keys(*block)) findings.push_back(std::move(each));
  return text + *yaml + std::string(parts.closing) + body;
}

}  // namespace

CardResult make_card(std::span<const CardAdapter> adapters, const ModelFacts& facts,
                     const std::optional<std::string>& existing, const CardOptions& options) {
  if (adapters.empty()) return {existing.value_or(std::string()), false, {}};
  const CardMetadata data = card_metadata(active(adapters), facts, options);
  CardResult result;
  if (!existing || is_blank(*existing)) {
    result = make_new(adapters, data);
  } else {
    note_left_out(data, result.findings);
    auto text = update(adapters, data, *existing, result.findings);
    if (text) {
      result.text = *std::move(text);
    } else {
      result.text = *existing;
      result.findings = {left_alone(text.error())};
    }
  }
  result.changed = !existing || result.text != *existing;
  return result;
}

std::vector<Finding> check_card(std::string_view text, std::string_view path) {
  std::vector<Finding> out;
  const auto warn = [&](const Error& error) {
    out.push_back(finding(Severity::kWarning, error.rule, {}, error.message));
  };
  if (const auto error = unreadable(text)) {
    warn(*error);
  } else if (const auto block = format::parse_yaml_block(format::split_card(text).yaml); !block) {
    warn(block.error());
  } else {
    out = duplicate_keys(*block);
    const YamlEntry* base = block->find("base_model");
    if (base != nullptr && base->kind == YamlEntry::Kind::kString &&
        !format::is_hub_id(base->text)) {
      out.push_back(finding(Severity::kWarning, "MC-5", "base_model",
                            "expected an id of the Hub as base_model, found " + quote(base->text),
                            "a path means nothing on another machine, and may say more of this one "
                            "than it should"));
    }
    const YamlEntry* library = block->find("library_name");
    if (library != nullptr && library->text != "peft") {
      out.push_back(finding(Severity::kNote, "MC-6", "library_name",
                            "expected library_name peft, found " + quote(library->text)));
    }
  }
  for (Finding& each : out) each.path = path;
  return out;
}

}  // namespace ferrule::adapter
