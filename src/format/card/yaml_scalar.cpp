// SPDX-License-Identifier: Apache-2.0
// PyYAML's Emitter for the scalars a model card holds. The three writers follow
// yaml/emitter.py decision by decision, its oddities included, because a card that PEFT writes and
// one that Ferrule writes have to be the same text.
#include "format/card/yaml_scalar.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/utf8.hpp"

namespace ferrule::format {
namespace {

constexpr std::size_t kBestWidth = 80;
constexpr std::size_t kIndent = 2;

bool is_break(char32_t c) { return c == U'\n' || c == 0x85 || c == 0x2028 || c == 0x2029; }

bool is_blank_or_break(char32_t c) {
  return c == 0 || c == U' ' || c == U'\t' || c == U'\r' || is_break(c);
}

bool is_in(char32_t c, std::u32string_view set) { return set.find(c) != std::u32string_view::npos; }

bool is_printable(char32_t c) {
  if (c == U'\n' || (c >= 0x20 && c <= 0x7e)) return true;
  return (c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd) ||
          (c >= 0x10000 && c < 0x10ffff)) &&
         c != 0xfeff;
}

struct Styles {
  bool plain = true;
  bool single_quoted = true;
};

/// Emitter.analyze_scalar for a block context: which styles can hold this text.
Styles analyze(std::u32string_view text) {
  bool indicators = text.substr(0, 3) == U"---" || text.substr(0, 3) == U"...";
  bool special = false;
  bool line_breaks = false;
  bool break_space = false;
  bool space_break = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool last = i + 1 == text.size();
    const bool blank_before = i == 0 || is_blank_or_break(text[i - 1]);
    const bool blank_after = last || is_blank_or_break(text[i + 1]);
    if (i == 0 && is_in(c, U"#,[]{}&*!|>'\"%@`")) indicators = true;
    if (i == 0 && is_in(c, U"?-") && blank_after) indicators = true;
    if (c == U':' && blank_after) indicators = true;
    if (c == U'#' && blank_before) indicators = true;
    if (is_break(c)) line_breaks = true;
    if (!is_printable(c)) special = true;
    if (i > 0 && c == U' ' && is_break(text[i - 1])) break_space = true;
    if (i > 0 && is_break(c) && text[i - 1] == U' ') space_break = true;
  }
  const auto blank = [](char32_t c) { return c == U' ' || is_break(c); };
  const bool edges = blank(text.front()) || blank(text.back());
  Styles styles;
  styles.single_quoted = !break_space && !space_break && !special;
  styles.plain = styles.single_quoted && !edges && !line_breaks && !indicators;
  return styles;
}

/// The state of Emitter that the writers share.
class ScalarWriter {
 public:
  ScalarWriter(std::u32string_view text, std::size_t column, std::string_view eol)
      : text_(text), eol_(eol), column_(column) {}

  /// Emitter.write_plain; the text holds no breaks.
  std::string plain() && {
    bool spaces = false;
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text_.size(); ++end) {
      const bool at_end = end == text_.size();
      const bool space = !at_end && text_[end] == U' ';
      if (spaces && !space) {
        if (start + 1 == end && column_ > kBestWidth) {
          break_line();
          indent();
        } else {
          write(start, end);
        }
        start = end;
      } else if (!spaces && (at_end || space)) {
        write(start, end);
        start = end;
      }
      spaces = space;
    }
    return std::move(out_);
  }

  /// Emitter.write_single_quoted.
  std::string single_quoted() && {
    mark("'");
    bool spaces = false;
    bool breaks = false;
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text_.size(); ++end) {
      const bool at_end = end == text_.size();
      const char32_t c = at_end ? U'\0' : text_[end];
      const bool is_space = !at_end && c == U' ';
      const bool is_line_break = !at_end && is_break(c);
      if (spaces) {
        if (!is_space) {
          if (start + 1 == end && column_ > kBestWidth && start != 0 && !at_end) {
            break_line();
            indent();
          } else {
            write(start, end);
          }
          start = end;
        }
      } else if (breaks) {
        if (!is_line_break) {
          write_breaks(start, end);
          start = end;
        }
      } else if (at_end || is_space || is_line_break || c == U'\'') {
        write(start, end);
        start = end;
      }
      if (!at_end && c == U'\'') {
        mark("''");
        start = end + 1;
      }
      spaces = is_space;
      breaks = is_line_break;
    }
    mark("'");
    return std::move(out_);
  }

  /// Emitter.write_double_quoted.
  std::string double_quoted() && {
    mark("\"");
    std::size_t start = 0;
    for (std::size_t end = 0; end <= text_.size(); ++end) {
      const bool at_end = end == text_.size();
      if (at_end || needs_escape(text_[end])) {
        if (start < end) {
          write(start, end);
          start = end;
        }
        if (!at_end) {
          mark(escape(text_[end]));
          start = end + 1;
        }
      }
      const bool inside = end > 0 && end + 1 < text_.size();
      if (inside && (text_[end] == U' ' || start >= end) && past_width(start, end)) {
        fold(start, end);
        if (start < end) start = end;
        break_line();
        indent();
        if (text_[start] == U' ') mark("\\");
      }
    }
    mark("\"");
    return std::move(out_);
  }

 private:
  /// Python's `column + (end - start) > best_width`, where start may be end + 1.
  bool past_width(std::size_t start, std::size_t end) const {
    return column_ + end > kBestWidth + start;
  }

  void fold(std::size_t start, std::size_t end) {
    if (start < end) write(start, end);
    mark("\\");
  }

  void write(std::size_t start, std::size_t end) {
    for (std::size_t i = start; i < end; ++i) base::append_utf8(out_, text_[i]);
    column_ += end - start;
  }

  void mark(std::string_view ascii) {
    out_ += ascii;
    column_ += ascii.size();
  }

  void break_line() {
    out_ += eol_;
    column_ = 0;
  }

  void indent() {
    out_.append(kIndent - std::min(column_, kIndent), ' ');
    column_ = std::max(column_, kIndent);
  }

  void write_breaks(std::size_t start, std::size_t end) {
    if (text_[start] == U'\n') break_line();
    for (std::size_t i = start; i < end; ++i) {
      if (text_[i] == U'\n') {
        break_line();
      } else {
        base::append_utf8(out_, text_[i]);
        column_ = 0;
      }
    }
    indent();
  }

  static bool needs_escape(char32_t c) {
    if (is_in(c, U"\"\\\x85\u2028\u2029\ufeff")) return true;
    return !((c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) ||
             (c >= 0xe000 && c <= 0xfffd));
  }

  static std::string escape(char32_t c) {
    constexpr std::u32string_view kFrom = U"\a\b\t\n\v\f\r\x1b\"\\\x85\xa0\u2028\u2029";
    constexpr std::string_view kTo = "abtnvfre\"\\N_LP";
    if (c == 0) return "\\0";
    if (const auto at = kFrom.find(c); at != std::u32string_view::npos) {
      return {'\\', kTo[at]};
    }
    std::array<char, 16> buffer{};
    const char* format = c <= 0xff ? "\\x%02X" : c <= 0xffff ? "\\u%04X" : "\\U%08X";
    std::snprintf(buffer.data(), buffer.size(), format, static_cast<unsigned>(c));
    return buffer.data();
  }

  std::u32string_view text_;
  std::string_view eol_;
  std::size_t column_;
  std::string out_;
};

std::u32string decode(std::string_view text) {
  std::u32string out;
  while (!text.empty()) {
    const auto point = base::decode_utf8(text);
    out += point ? point->value : U'\ufffd';
    text.remove_prefix(point ? point->bytes : 1);
  }
  return out;
}

}  // namespace

std::string dump_yaml_scalar(std::string_view text, std::size_t column, std::string_view eol) {
  if (text.empty()) return "''";
  const std::u32string points = decode(text);
  const Styles styles = analyze(points);
  ScalarWriter writer(points, column, eol);
  if (styles.plain && is_yaml_string(text)) return std::move(writer).plain();
  if (styles.single_quoted) return std::move(writer).single_quoted();
  return std::move(writer).double_quoted();
}

std::string dump_yaml_entry(std::string_view key, std::string_view value, std::string_view eol) {
  std::string out(key);
  out += ": ";
  return out + dump_yaml_scalar(value, out.size(), eol);
}

std::string dump_yaml_entry(std::string_view key, std::span<const std::string> items,
                            std::string_view eol) {
  std::string out(key);
  out += items.empty() ? ": []" : ":";
  for (const std::string& item : items) {
    out += eol;
    out += "- ";
    out += dump_yaml_scalar(item, 2, eol);
  }
  return out;
}

}  // namespace ferrule::format
