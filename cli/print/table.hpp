// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ferrule::cli {

enum class Align : std::uint8_t { kLeft, kRight };

/// Rows under a header. Cells must be printable already. In a terminal that is too narrow the first
/// column loses the components that all rows share, then the other left columns are cut in the
/// middle, then the first.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  /// `columns` is the width of the terminal; 0 means no limit.
  std::string to_string(std::size_t columns) const;

 private:
  std::vector<std::size_t> natural_widths() const;
  Table without_common_prefix() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "label:  value" lines with the values aligned.
class Facts {
 public:
  void add(std::string label, std::string value) {
    lines_.emplace_back(std::move(label), std::move(value));
  }
  std::string to_string() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace ferrule::cli
