// SPDX-License-Identifier: Apache-2.0
#include "print/table.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMinWidth = 12;  // A cut cell keeps at least this much.

std::string padded(const std::string& text, std::size_t width, Align align) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return align == Align::kLeft ? text + space : space + text;
}

std::string without_trailing_space(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

std::vector<std::size_t> Table::natural_widths() const {
  std::vector<std::size_t> widths;
  for (const auto& column : columns_) widths.push_back(width_of(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  return widths;
}

Table Table::without_common_prefix() const {
  Table shorter = *this;
  if (rows_.size() < 2) return shorter;
  std::string_view prefix = rows_[0][0];
  for (const auto& row : rows_) {
    const std::string_view cell = row[0];
    std::size_t same = 0;
    while (same < std::min(prefix.size(), cell.size()) && prefix[same] == cell[same]) ++same;
    prefix = prefix.substr(0, same);
  }
  // Whole components only: "model.layers.".
  const auto end = prefix.find_last_of("./");
  if (end == std::string_view::npos) return shorter;
  shorter.columns_[0].title += " (" + std::string(prefix.substr(0, end + 1)) + "*)";
  for (auto& row : shorter.rows_) row[0].erase(0, end + 1);
  return shorter;
}

std::string Table::to_string(std::size_t columns) const {
  auto widths = natural_widths();
  const auto total_of = [](const std::vector<std::size_t>& each) {
    return std::accumulate(each.begin(), each.end(), 2 * (each.size() - 1));
  };
  std::size_t total = total_of(widths);
  if (columns > 0 && total > columns && !rows_.empty()) {
    const auto shorter = without_common_prefix();
    if (total_of(shorter.natural_widths()) < total) return shorter.to_string(columns);
  }
  // The first column names the row: it is cut last.
  for (const bool first : {false, true}) {
    while (columns > 0 && total > columns) {
      std::size_t widest = widths.size();
      for (std::size_t i = first ? 0 : 1; i < (first ? 1 : widths.size()); ++i) {
        if (columns_[i].align != Align::kLeft || widths[i] <= kMinWidth) continue;
        if (widest == widths.size() || widths[i] > widths[widest]) widest = i;
      }
      if (widest == widths.size()) break;
      const auto cut = std::min(total - columns, widths[widest] - kMinWidth);
      widths[widest] -= cut;
      total -= cut;
    }
  }
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) text += "  ";
      text += padded(fit(cell_of(i), widths[i]), widths[i], columns_[i].align);
    }
    return without_trailing_space(std::move(text));
  };
  auto text =
      colored(Stream::kOut, Color::kBold, line([&](std::size_t i) { return columns_[i].title; })) +
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

}  // namespace ferrule::cli
