// SPDX-License-Identifier: Apache-2.0
#include "format/card/front_matter.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "format/card/yaml_scalar.hpp"

namespace ferrule::format {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::size_t line_break_at(std::string_view text, std::size_t at) noexcept {
  if (at >= text.size()) return 0;
  if (text[at] == '\n') return 1;
  if (text[at] != '\r') return 0;
  return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
}

/// As huggingface_hub's _detect_line_ending.
std::string_view detect_line_ending(std::string_view text) noexcept {
  std::size_t cr = 0;
  std::size_t lf = 0;
  std::size_t crlf = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') ++lf;
    if (text[i] == '\r') ++cr;
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++crlf;
  }
  if (crlf > 0 && crlf == cr && crlf == lf) return "\r\n";
  return cr > lf ? "\r" : "\n";
}

/// What PyYAML's reader takes; a YAML block with anything else is not one.
bool is_yaml_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto point = base::decode_utf8(text);
    if (!point) return false;
    const char32_t c = point->value;
    const bool good = c == U'\t' || c == U'\n' || c == U'\r' || (c >= 0x20 && c <= 0x7e) ||
                      c == 0x85 || (c >= 0xa0 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
    if (!good) return false;
    text.remove_prefix(point->bytes);
  }
  return true;
}

/// Keeps the first two levels of a document and lets the rest pass by: nothing is built, so that
/// aliases cost nothing however often they are used.
class TopLevel final : public YAML::EventHandler {
 public:
  enum class Root : std::uint8_t { kNothing, kMapping, kOther };

  Root root = Root::kNothing;
  YamlBlock block;
  bool has_odd_key = false;

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    leaf(mark, YamlEntry::Kind::kNull, {});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    leaf(mark, YamlEntry::Kind::kOther, {});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t /*anchor*/,
                const std::string& value) override {
    using Kind = YamlEntry::Kind;
    Kind kind = Kind::kScalar;
    if (tag == "!" || tag == "tag:yaml.org,2002:str" || (tag == "?" && is_yaml_string(value))) {
      kind = Kind::kString;
    }
    leaf(mark, kind, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value style) override {
    if (depth_ == 0) root = Root::kOther;
    open(mark, YamlEntry::Kind::kStrings);
    if (depth_ == 2 && current_ != nullptr)
      current_->is_block_list = style == YAML::EmitterStyle::Block;
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value style) override {
    if (depth_ == 0) {
      root = Root::kMapping;
      block.is_flow = style == YAML::EmitterStyle::Flow;
    }
    open(mark, YamlEntry::Kind::kOther);
  }
  void OnMapEnd() override { --depth_; }

 private:
  void open(const YAML::Mark& mark, YamlEntry::Kind kind) {
    node(mark, kind, {});
    ++depth_;
  }

  void leaf(const YAML::Mark& mark, YamlEntry::Kind kind, const std::string& text) {
    if (depth_ == 0 && kind != YamlEntry::Kind::kNull) root = Root::kOther;
    node(mark, kind, text);
  }

  void node(const YAML::Mark& mark, YamlEntry::Kind kind, const std::string& text) {
    if (root != Root::kMapping) return;
    if (depth_ == 1) {
      top_node(mark, kind, text);
    } else if (depth_ == 2 && current_ != nullptr) {
      current_->is_empty = false;
      if (kind == YamlEntry::Kind::kString && current_->kind == YamlEntry::Kind::kStrings) {
        current_->items.push_back(text);
      } else {
        current_->kind = YamlEntry::Kind::kOther;
      }
    }
  }

  /// A key or its value, in turn.
  void top_node(const YAML::Mark& mark, YamlEntry::Kind kind, const std::string& text) {
    const std::size_t at = mark.pos < 0 ? 0 : static_cast<std::size_t>(mark.pos);
    if (!awaiting_value_) {
      if (kind != YamlEntry::Kind::kString && kind != YamlEntry::Kind::kScalar) has_odd_key = true;
      block.entries.push_back({.key = text, .begin = at});
      // What a key that is itself a list or a mapping holds belongs to no entry.
      current_ = nullptr;
      awaiting_value_ = true;
      return;
    }
    current_ = &block.entries.back();
    current_->kind = kind;
    current_->text = text;
    current_->value_begin = at;
    current_->is_empty = kind == YamlEntry::Kind::kStrings || kind == YamlEntry::Kind::kOther;
    awaiting_value_ = false;
  }

  std::size_t depth_ = 0;
  bool awaiting_value_ = false;
  YamlEntry* current_ = nullptr;
};

class Ignore final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/, YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}
};

std::size_t line_begin(std::string_view text, std::size_t at) {
  const auto before = text.rfind('\n', at == 0 ? std::string_view::npos : at - 1);
  return at == 0 || before == std::string_view::npos ? 0 : before + 1;
}

/// The end of the last line of [begin, end) that is neither blank nor a comment, before its break.
std::size_t content_end(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t last = begin;
  for (std::size_t at = begin; at < end;) {
    std::size_t stop = std::min(text.find('\n', at), end);
    const std::string_view line = text.substr(at, stop - at);
    const auto first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#') {
      last = at + line.find_last_not_of('\r') + 1;
    }
    at = stop + 1;
  }
  return last;
}

/// Turns the keys' marks into whole lines.
Result<void> settle_ranges(std::string_view text, YamlBlock& block) {
  for (std::size_t i = 0; i < block.entries.size(); ++i) {
    YamlEntry& entry = block.entries[i];
    entry.begin = line_begin(text, std::min(entry.begin, text.size()));
    if (i > 0 && entry.begin <= block.entries[i - 1].begin) {
      return base::corrupt("MC-4", "expected one key a line in the front matter");
    }
  }
  for (std::size_t i = 0; i < block.entries.size(); ++i) {
    YamlEntry& entry = block.entries[i];
    const bool last = i + 1 == block.entries.size();
    entry.end = content_end(text, entry.begin, last ? text.size() : block.entries[i + 1].begin);
    if (entry.value_begin &&
        (*entry.value_begin < entry.begin || *entry.value_begin >= entry.end)) {
      entry.value_begin.reset();
    }
  }
  if (!block.entries.empty()) {
    const std::size_t begin = block.entries[0].begin;
    block.indent = std::min(text.find_first_not_of(' ', begin), text.size()) - begin;
  }
  return {};
}

/// The document's events into `top`; yaml-cpp's exceptions end here.
Result<void> read_events(const std::string& text, TopLevel& top) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Ignore ignore;
    if (parser.HandleNextDocument(top) && parser.HandleNextDocument(ignore)) {
      return base::corrupt("MC-4", "expected one YAML document in the front matter, found several");
    }
  } catch (const YAML::Exception& error) {
    return base::corrupt("MC-4", "the front matter is not YAML: line " +
                                     std::to_string(error.mark.line + 1) + ": " +
                                     printable(error.msg, 200));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return base::corrupt("MC-4", "the front matter is not YAML: " + printable(error.what(), 200));
  }
  return {};
}

}  // namespace

CardParts split_card(std::string_view text) noexcept {
  CardParts parts;
  parts.eol = detect_line_ending(text);
  const std::size_t mark = text.substr(0, 3) == kByteOrderMark ? kByteOrderMark.size() : 0;
  parts.opening = text.substr(0, mark);
  parts.body = text.substr(mark);
  const std::size_t fence = std::min(text.find_first_not_of(" \t\n\r\f\v", mark), text.size());
  if (text.substr(fence, 3) != "---") return parts;
  const std::size_t opening_break = line_break_at(text, fence + 3);
  if (opening_break == 0) return parts;
  const std::size_t begin = fence + 3 + opening_break;
  for (std::size_t at = begin; at < text.size(); ++at) {
    const std::size_t length = line_break_at(text, at);
    if (length == 0 || text.substr(at + length, 3) != "---") continue;
    const std::size_t after = std::min(text.find_first_not_of(" \t", at + length + 3), text.size());
    const std::size_t closing_break = line_break_at(text, after);
    if (closing_break == 0 && after != text.size()) continue;
    parts.has_front_matter = true;
    parts.opening = text.substr(0, begin);
    parts.yaml = text.substr(begin, at - begin);
    parts.closing = text.substr(at, after + closing_break - at);
    parts.body = text.substr(after + closing_break);
    return parts;
  }
  return parts;
}

const YamlEntry* YamlBlock::find(std::string_view key) const noexcept {
  const auto found = std::find_if(entries.rbegin(), entries.rend(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.rend() ? nullptr : &*found;
}

Result<YamlBlock> parse_yaml_block(std::string_view yaml) {
  if (yaml.size() > kMaxFrontMatterBytes) {
    return base::over_limit("MC-1", "expected at most " + std::to_string(kMaxFrontMatterBytes) +
                                        " bytes of front matter, found " +
                                        std::to_string(yaml.size()));
  }
  if (!is_yaml_text(yaml)) {
    return base::corrupt("MC-2",
                         "expected printable UTF-8 text in the front matter, found other bytes");
  }
  // yaml-cpp knows no lone carriage return as a line break; one byte for one keeps the offsets.
  std::string text(yaml);
  // The line break before the closing fence ends the last line, and is part of a text folded over
  // several lines. The end mark shows yaml-cpp a quote that never ends, which it takes otherwise.
  text += "\n...\n";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) text[i] = '\n';
  }
  TopLevel top;
  FERRULE_CHECK(read_events(text, top));
  if (top.root == TopLevel::Root::kOther) {
    return base::corrupt(
        "MC-4", "expected a mapping of keys to values in the front matter, found another value");
  }
  if (top.has_odd_key) return base::corrupt("MC-4", "expected names as keys of the front matter");
  if (!top.block.is_flow) {
    FERRULE_CHECK(settle_ranges(std::string_view(text).substr(0, yaml.size()), top.block));
  }
  return std::move(top.block);
}

}  // namespace ferrule::format
