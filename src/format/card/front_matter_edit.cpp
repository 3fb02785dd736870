// SPDX-License-Identifier: Apache-2.0
// Editing in place: the smallest stretch of text that holds a value is replaced, so that what a
// person wrote around it stays.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "format/card/front_matter.hpp"
#include "format/card/yaml_scalar.hpp"

namespace ferrule::format {
namespace {

using Strings = std::vector<std::string>;

/// Bytes [begin, end) become `text`.
struct Patch {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;
};

bool holds(const YamlEntry* entry, const YamlEdit& edit) {
  if (std::holds_alternative<std::monostate>(edit.value)) return entry == nullptr;
  if (entry == nullptr) return false;
  if (const auto* text = std::get_if<std::string>(&edit.value)) {
    return entry->kind == YamlEntry::Kind::kString && entry->text == *text;
  }
  return entry->kind == YamlEntry::Kind::kStrings &&
         entry->items == *std::get_if<Strings>(&edit.value);
}

std::string dump(const YamlEdit& edit, std::size_t indent, std::string_view eol) {
  // Lines that a value continues on are indented as the key is.
  const std::string line_break = std::string(eol) + std::string(indent, ' ');
  const auto* items = std::get_if<Strings>(&edit.value);
  return std::string(indent, ' ') +
         (items != nullptr
              ? dump_yaml_entry(edit.key, *items, line_break)
              : dump_yaml_entry(edit.key, *std::get_if<std::string>(&edit.value), line_break));
}

/// One entry of a block mapping, seen line by line.
class EntryEditor {
 public:
  EntryEditor(std::string_view yaml, const YamlEntry& entry, std::size_t indent,
              std::string_view eol)
      : yaml_(yaml), entry_(entry), indent_(indent), eol_(eol) {
    first_line_end_ = std::min(yaml_.find_first_of("\r\n", entry_.begin), entry_.end);
    const std::size_t key = entry_.begin + indent_;
    const std::size_t colon = key + entry_.key.size();
    if (yaml_.substr(key, entry_.key.size()) != entry_.key || yaml_.substr(colon, 1) != ":") return;
    after_colon_ = colon + 1;
    const auto value = yaml_.find_first_not_of(" \t", colon + 1);
    value_ = std::min(value, first_line_end_);
  }

  Patch set(const YamlEdit& edit) const {
    std::optional<Patch> patch;
    if (const auto* text = std::get_if<std::string>(&edit.value)) {
      patch = set_scalar(*text);
    } else if (const auto* items = std::get_if<Strings>(&edit.value)) {
      patch = set_list(*items);
    } else {
      return remove();
    }
    return patch ? *std::move(patch) : Patch{entry_.begin, entry_.end, dump(edit, indent_, eol_)};
  }

 private:
  bool is_one_line() const { return entry_.end == first_line_end_; }
  bool key_stands_alone() const {
    return after_colon_ && (value_ == first_line_end_ || yaml_[value_] == '#');
  }

  /// The end of the scalar at `value_`, where it is a plain or quoted one that ends on its line.
  std::optional<std::size_t> scalar_end() const {
    const char first = yaml_[value_];
    if (std::string_view("&*!|>[{%@`").find(first) != std::string_view::npos) return std::nullopt;
    if (first == '\'' || first == '"') {
      for (std::size_t at = value_ + 1; at < first_line_end_; ++at) {
        if (first == '"' && yaml_[at] == '\\') {
          ++at;
        } else if (yaml_[at] == first) {
          if (first == '"' || at + 1 == first_line_end_ || yaml_[at + 1] != '\'') return at + 1;
          ++at;
        }
      }
      return std::nullopt;
    }
    std::size_t end = value_ + 1;
    for (std::size_t at = value_ + 1; at < first_line_end_; ++at) {
      const bool blank_before = yaml_[at - 1] == ' ' || yaml_[at - 1] == '\t';
      if (yaml_[at] == '#' && blank_before) break;
      if (yaml_[at] != ' ' && yaml_[at] != '\t') end = at + 1;
    }
    return end;
  }

  std::optional<Patch> set_scalar(std::string_view text) const {
    if (!after_colon_ || !is_one_line()) return std::nullopt;
    const std::string line_break = std::string(eol_) + std::string(indent_, ' ');
    const std::size_t column = entry_.key.size() + 2;
    const std::string value = dump_yaml_scalar(text, column, line_break);
    if (key_stands_alone()) return Patch{*after_colon_, *after_colon_, " " + value};
    const auto end = scalar_end();
    if (!end) return std::nullopt;
    return Patch{value_, *end, value};
  }

  /// Of a list in brackets on the key's line: where it ends.
  std::optional<std::size_t> flow_end() const {
    std::size_t depth = 0;
    char quote = '\0';
    for (std::size_t at = value_; at < first_line_end_; ++at) {
      const char c = yaml_[at];
      if (quote != '\0') {
        if (c == quote) quote = '\0';
        if (quote == '"' && c == '\\') ++at;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '[') {
        ++depth;
      } else if (c == ']' && --depth == 0) {
        return at + 1;
      }
    }
    return std::nullopt;
  }

  /// The items below the key's line, which stays with its comment; so do lines of comments between
  /// the items.
  std::optional<Patch> set_list(const Strings& items) const {
    if (items.empty() || !after_colon_) return std::nullopt;
    if (key_stands_alone() && (entry_.kind == YamlEntry::Kind::kNull || entry_.is_block_list)) {
      return Patch{first_line_end_, entry_.end, comments_inside() + item_lines(items)};
    }
    if (!is_one_line()) return std::nullopt;
    const bool is_flow_list = value_ < first_line_end_ && yaml_[value_] == '[';
    const auto end = is_flow_list ? flow_end() : scalar_end();
    if (!end) return std::nullopt;
    return Patch{*after_colon_, entry_.end,
                 std::string(yaml_.substr(*end, entry_.end - *end)) + item_lines(items)};
  }

  std::string comments_inside() const {
    std::string out;
    for (std::size_t at = first_line_end_; at < entry_.end;) {
      const std::size_t begin = std::min(yaml_.find_first_not_of("\r\n", at), entry_.end);
      const std::size_t end = std::min(yaml_.find_first_of("\r\n", begin), entry_.end);
      const auto first = yaml_.find_first_not_of(" \t", begin);
      if (first < end && yaml_[first] == '#') {
        out += eol_;
        out += yaml_.substr(begin, end - begin);
      }
      at = end;
    }
    return out;
  }

  std::string item_lines(const Strings& items) const {
    std::size_t blanks = indent_;
    if (entry_.is_block_list && entry_.value_begin) {
      const auto line = yaml_.find_last_of("\r\n", *entry_.value_begin);
      if (line != std::string_view::npos) blanks = *entry_.value_begin - line - 1;
    }
    const std::string line_break = std::string(eol_) + std::string(blanks, ' ');
    std::string out;
    for (const std::string& item : items) {
      out += line_break;
      out += "- ";
      out += dump_yaml_scalar(item, 2, line_break);
    }
    return out;
  }

  /// Takes the line break along: the one after it, or before where the entry ends the text.
  Patch remove() const {
    std::size_t begin = entry_.begin;
    std::size_t end = entry_.end;
    if (end < yaml_.size()) {
      if (yaml_[end] == '\r') ++end;
      if (end < yaml_.size() && yaml_[end] == '\n') ++end;
    } else if (begin > 0) {
      --begin;
      if (begin > 0 && yaml_[begin] == '\n' && yaml_[begin - 1] == '\r') --begin;
    }
    return {begin, end, {}};
  }

  std::string_view yaml_;
  const YamlEntry& entry_;
  std::size_t indent_;
  std::string_view eol_;
  std::size_t first_line_end_ = 0;
  std::optional<std::size_t> after_colon_;
  std::size_t value_ = 0;
};

/// Whether the text reads back as asked, with the other keys as they were.
bool reads_back(const YamlBlock& before, std::string_view text, std::span<const YamlEdit> edits) {
  const auto after = parse_yaml_block(text);
  if (!after) return false;
  const auto is_edited = [&](const YamlEntry& entry) {
    return std::any_of(edits.begin(), edits.end(),
                       [&](const YamlEdit& edit) { return edit.key == entry.key; });
  };
  for (const YamlEdit& edit : edits) {
    if (!holds(after->find(edit.key), edit)) return false;
  }
  auto ours = after->entries.begin();
  for (const YamlEntry& entry : before.entries) {
    if (is_edited(entry)) continue;
    while (ours != after->entries.end() && is_edited(*ours)) ++ours;
    if (ours == after->entries.end() || ours->key != entry.key || ours->kind != entry.kind ||
        ours->text != entry.text || ours->items != entry.items) {
      return false;
    }
    ++ours;
  }
  return true;
}

}  // namespace

Result<std::string> edit_yaml_block(std::string_view yaml, std::span<const YamlEdit> edits,
                                    std::string_view eol) {
  FERRULE_TRY(const YamlBlock block, parse_yaml_block(yaml));
  std::vector<Patch> patches;
  std::string added;
  for (const YamlEdit& edit : edits) {
    const YamlEntry* entry = block.find(edit.key);
    if (holds(entry, edit)) continue;
    if (block.is_flow && !block.entries.empty()) {
      return base::unsupported("MC-7",
                               "front matter in braces is not edited; expected one key a line");
    }
    if (entry != nullptr) {
      patches.push_back(EntryEditor(yaml, *entry, block.indent, eol).set(edit));
    } else {
      if (!added.empty()) added += eol;
      added += dump(edit, block.indent, eol);
    }
  }
  if (patches.empty() && added.empty()) return std::string(yaml);
  std::string text(block.is_flow ? std::string_view() : yaml);
  if (!added.empty()) {
    const bool needs_break = !text.empty() && text.back() != '\n' && text.back() != '\r';
    // In front of those that begin at the same place: it comes after them in the text.
    patches.insert(patches.begin(),
                   {text.size(), text.size(), (needs_break ? std::string(eol) : "") + added});
  }
  // From the last to the first: what is in front of a patch keeps its place.
  std::stable_sort(patches.begin(), patches.end(),
                   [](const Patch& a, const Patch& b) { return a.begin > b.begin; });
  for (const Patch& patch : patches) {
    text.replace(patch.begin, patch.end - patch.begin, patch.text);
  }
  if (!reads_back(block, text, edits)) {
    return base::unsupported(
        "MC-7",
        "the front matter cannot be edited without changing what others of its keys "
        "say (an anchor, or an unusual layout)");
  }
  return text;
}

}  // namespace ferrule::format
