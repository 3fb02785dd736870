// SPDX-License-Identifier: Apache-2.0
#include "render.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "ferrule/text.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMostFindings = 50;
constexpr std::size_t kNarrowest = 12;  // A cut cell keeps at least this much.

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

/// The byte at which character `count` of `text` starts.
std::size_t byte_at(std::string_view text, std::size_t count) {
  std::size_t byte = 0;
  while (byte < text.size() && count > 0) {
    ++byte;
    while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xc0) == 0x80) ++byte;
    --count;
  }
  return byte;
}

std::string fit(std::string_view text, std::size_t width) {
  const auto have = width_of(text);
  if (have <= width) return std::string(text);
  const auto head = (width - 3) / 2;
  const auto tail = width - 3 - head;
  return std::string(text.substr(0, byte_at(text, head))) + "..." +
         std::string(text.substr(byte_at(text, have - tail)));
}

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return align == Align::kLeft ? text + space : space + text;
}

std::string without_trailing_space(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::string grouped(std::uint64_t number) {
  const auto digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.1f %s", value, kUnits[unit]);
  return buffer.data();
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return grouped(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

std::string plain_number(double number) {
  std::array<char, 40> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.6g", number);
  return buffer.data();
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const auto extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::string Table::to_string(std::size_t columns) const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::size_t total = 2 * (widths.size() - 1);
  for (const auto width : widths) total += width;
  while (columns > 0 && total > columns) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (columns_[i].align != Align::kLeft || widths[i] <= kNarrowest) continue;
      if (widest == widths.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == widths.size()) break;
    const auto cut = std::min(total - columns, widths[widest] - kNarrowest);
    widths[widest] -= cut;
    total -= cut;
  }
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) text += "  ";
      text += padded(fit(cell_of(i), widths[i]), widths[i], columns_[i].align);
    }
    return without_trailing_space(std::move(text));
  };
  auto text = coloured(Stream::kOut, Colour::kBold,
                       line([&](std::size_t i) { return columns_[i].title; })) +
              "\n";
  for (const auto& row : rows_) {
    text += line([&](std::size_t i) { return i < row.size() ? row[i] : std::string(); }) + "\n";
  }
  return text;
}

std::string Facts::to_string() const {
  std::size_t width = 0;
  for (const auto& [label, value] : lines_) width = std::max(width, width_of(label));
  std::string text;
  for (const auto& [label, value] : lines_) {
    text += padded(label, width, Align::kLeft) + "  " + value + "\n";
  }
  return text;
}

void report(const Finding& finding) {
  const bool error = finding.severity == Severity::kError;
  const auto colour = error                                    ? Colour::kRed
                      : finding.severity == Severity::kWarning ? Colour::kYellow
                                                               : Colour::kCyan;
  std::string text;
  if (!finding.path.empty()) text += printable(finding.path) + ": ";
  if (!error) text += coloured(Stream::kErr, colour, severity_name(finding.severity)) + ": ";
  if (!finding.rule.empty()) {
    text += coloured(Stream::kErr, colour, "[" + finding.rule + "]") + " ";
  }
  text += finding.message + "\n";
  if (!finding.advice.empty()) text += "    " + finding.advice + "\n";
  print(Stream::kErr, text);
}

void report(const Error& error) { report(to_finding(error)); }

void report(std::span<const Finding> findings) {
  for (const auto& finding : findings.first(std::min(findings.size(), kMostFindings))) {
    report(finding);
  }
  if (findings.size() > kMostFindings) {
    print(Stream::kErr, "... and " + grouped(findings.size() - kMostFindings) +
                            " more (--json lists them all)\n");
  }
}

Json to_json(const Finding& finding) {
  Json json;
  json.set("severity", severity_name(finding.severity));
  json.set("rule", finding.rule);
  json.set("path", finding.path);
  json.set("key", finding.key);
  json.set("message", finding.message);
  json.set("advice", finding.advice);
  return json;
}

Json to_json(std::span<const Finding> findings) {
  Json::Array array;
  for (const auto& finding : findings) array.push_back(to_json(finding));
  return array;
}

Json to_json(const Error& error) {
  Json json;
  json.set("code", error_code_name(error.code));
  json.set("rule", error.rule);
  json.set("path", error.path);
  json.set("message", error.message);
  json.set("errno", error.system_errno);
  return json;
}

Json to_json(std::span<const std::uint64_t> shape) {
  Json::Array array;
  for (const auto extent : shape) array.push_back(Json(extent));
  return array;
}

Json real(const std::optional<double>& value) {
  constexpr double kExactIntegers = 0x1p53;
  if (!value || !std::isfinite(*value)) return {};
  if (*value == std::floor(*value) && std::fabs(*value) <= kExactIntegers) {
    return static_cast<std::int64_t>(*value);
  }
  return *value;
}

void print_json(const Json& document) {
  print(Stream::kOut, document.dump_python(2, false) + "\n");
}

}  // namespace ferrule::cli
