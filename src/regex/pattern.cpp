// SPDX-License-Identifier: Apache-2.0
#include "regex/pattern.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "regex/engine.hpp"
#include "regex/python_regex.hpp"

namespace ferrule::regex {
namespace {

#ifdef FERRULE_MINIMAL
constexpr auto& compile_engine = compile_small;
#else
constexpr auto& compile_engine = compile_with_pcre2;
#endif

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  });
}

/// The places of an expression where a dot means any character, and "$" only the end.
bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// "(.*\\.)?(PLAIN)$" on `path`, a dot in PLAIN being any character.
bool ends_with_plain(std::string_view path, std::string_view plain) {
  if (path.size() < plain.size()) return false;
  const auto start = path.size() - plain.size();
  if (start > 0 && path[start - 1] != '.') return false;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] != path[start + i] && plain[i] != '.') return false;
  }
  return true;
}

}  // namespace

struct Pattern::Rep {
  /// What compile_entry was given, if it is only letters, digits, underscores and dots. An
  /// adapter may have thousands of such entries and thousands of modules.
  std::optional<std::string> plain;
  std::unique_ptr<const Engine> engine;

  Result<bool> run(std::string_view text, Anchor anchor) const {
    return engine->run(text, anchor, nullptr, false);
  }
};

Result<std::shared_ptr<Pattern::Rep>> Pattern::make(std::string_view expression) {
  FERRULE_TRY(const std::string translated, translate_python_regex(expression));
  auto rep = std::make_shared<Rep>();
  FERRULE_TRY(rep->engine, compile_engine(expression, translated));
  return rep;
}

Result<Pattern> Pattern::compile(std::string_view expression) {
  Pattern pattern;
  FERRULE_TRY(pattern.rep_, make(expression));
  return pattern;
}

Result<Pattern> Pattern::compile_entry(std::string_view text) {
  FERRULE_TRY(auto rep, make("(.*\\.)?(" + std::string(text) + ")$"));
  if (is_plain(text)) rep->plain = text;
  Pattern pattern;
  pattern.rep_ = std::move(rep);
  return pattern;
}

Result<bool> Pattern::fullmatch(std::string_view text) const {
  return rep_->run(text, Anchor::kBoth);
}

Result<bool> Pattern::match(std::string_view text) const {
  if (rep_->plain && is_printable_ascii(text)) return ends_with_plain(text, *rep_->plain);
  return rep_->run(text, Anchor::kStart);
}

Result<bool> Pattern::search(std::string_view text) const { return rep_->run(text, Anchor::kNone); }

Result<std::vector<std::string_view>> Pattern::search_groups(std::string_view text) const {
  std::vector<std::string_view> groups;
  FERRULE_CHECK(rep_->engine->run(text, Anchor::kNone, &groups, true));
  return groups;
}

Result<std::optional<std::string_view>> Pattern::matched(std::string_view text) const {
  std::vector<std::string_view> groups;
  FERRULE_TRY(const bool hit, rep_->engine->run(text, Anchor::kStart, &groups, false));
  if (!hit) return std::optional<std::string_view>();
  return std::optional(groups.front());
}

}  // namespace ferrule::regex
