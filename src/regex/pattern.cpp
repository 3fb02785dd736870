// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex/pattern.hpp"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "regex/python_regex.hpp"

namespace ferrule::regex {
namespace {

/// Enough for any pattern that names modules (they need a few thousand), and over in some tens of
/// milliseconds.
constexpr std::uint32_t kMatchLimit = 1'000'000;
constexpr std::uint32_t kHeapLimitKibibytes = 16 * 1024;

Error failure(ErrorCode code, std::string_view rule, std::string_view expression,
              std::string_view what) {
  return base::make_error(code, rule,
                          "regular expression " + quote(expression) + " " + std::string(what));
}

std::string engine_message(int code) {
  std::array<PCRE2_UCHAR, 160> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

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

/// Frees what PCRE2 made.
struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Pattern::Rep {
  std::string expression;
  /// What compile_entry was given, if it is only letters, digits, underscores and dots. An
  /// adapter may have thousands of such entries and thousands of modules.
  std::optional<std::string> plain;
  Owned<pcre2_code> code;
  Owned<pcre2_match_context> limits;

  Result<bool> run(std::string_view text, std::uint32_t options) const {
    const Owned<pcre2_match_data> data(pcre2_match_data_create(1, nullptr));
    return run(text, options, data.get());
  }

  Result<bool> run(std::string_view text, std::uint32_t options, pcre2_match_data* data) const {
    if (data == nullptr) {
      return failure(ErrorCode::kLimitExceeded, "CF-22", expression, "finds no memory");
    }
    const auto* bytes = reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data());
    const int found = pcre2_match(code.get(), bytes, text.size(), 0, options, data, limits.get());
    if (found >= 0) return true;
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21) return false;
    return failure(ErrorCode::kLimitExceeded, "CF-22", expression,
                   "takes too many steps on " + quote(text) + " (" + engine_message(found) +
                       "); PEFT would hang on it");
  }
};

Result<std::shared_ptr<Pattern::Rep>> Pattern::make(std::string_view expression) {
  FERRULE_TRY(const std::string translated, translate_python_regex(expression));
  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  auto rep = std::make_shared<Rep>();
  rep->expression = expression;
  rep->limits.reset(pcre2_match_context_create(nullptr));
  if (!context || !rep->limits) {
    return failure(ErrorCode::kLimitExceeded, "CF-22", expression, "finds no memory");
  }
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_match_limit(rep->limits.get(), kMatchLimit);
  pcre2_set_heap_limit(rep->limits.get(), kHeapLimitKibibytes);
  int error = 0;
  std::size_t offset = 0;
  rep->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX, &error, &offset,
                                context.get()));
  if (!rep->code) {
    return failure(ErrorCode::kUnsupported, "CF-21", expression,
                   "cannot be run by Ferrule: " + engine_message(error));
  }
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
  return rep_->run(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

Result<bool> Pattern::match(std::string_view text) const {
  if (rep_->plain && is_printable_ascii(text)) return ends_with_plain(text, *rep_->plain);
  return rep_->run(text, PCRE2_ANCHORED);
}

Result<bool> Pattern::search(std::string_view text) const { return rep_->run(text, 0); }

Result<std::vector<std::string_view>> Pattern::search_groups(std::string_view text) const {
  const Owned<pcre2_match_data> data(
      pcre2_match_data_create_from_pattern(rep_->code.get(), nullptr));
  FERRULE_TRY(const bool found, rep_->run(text, 0, data.get()));
  std::vector<std::string_view> groups;
  if (!found) return groups;
  const auto* ends = pcre2_get_ovector_pointer(data.get());
  const auto count = pcre2_get_ovector_count(data.get());
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto from = ends[2 * i];
    const auto to = ends[2 * i + 1];
    groups.push_back(from == PCRE2_UNSET ? std::string_view() : text.substr(from, to - from));
  }
  return groups;
}

Result<std::optional<std::string_view>> Pattern::matched(std::string_view text) const {
  const Owned<pcre2_match_data> data(pcre2_match_data_create(1, nullptr));
  FERRULE_TRY(const bool hit, rep_->run(text, PCRE2_ANCHORED, data.get()));
  if (!hit) return std::optional<std::string_view>();
  return std::optional(text.substr(0, pcre2_get_ovector_pointer(data.get())[1]));
}

}  // namespace ferrule::regex
