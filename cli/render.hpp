// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/json.hpp"
#include "terminal.hpp"

namespace ferrule::cli {

/// "1,234,567".
std::string grouped(std::uint64_t number);

/// "41.9 MB": decimal units, as shops and file managers count.
std::string human_bytes(std::uint64_t bytes);

/// "1 tensor", "2,048 tensors".
std::string counted(std::uint64_t number, std::string_view noun);

/// A number as people write it: "16", "0.125".
std::string plain_number(double number);

/// "[16, 64]".
std::string shape_text(std::span<const std::uint64_t> shape);

enum class Align : std::uint8_t { kLeft, kRight };

/// Rows under a header. Cells must be printable already. Wider than the terminal, the widest left
/// column is cut in the middle, where paths differ least.
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

/// Prints "path: [RULE] message" to standard error, and the advice below it.
void report(const Finding& finding);
void report(const Error& error);
/// The first of them, and how many more there are: output stays bounded whatever the file holds.
void report(std::span<const Finding> findings);

Json to_json(const Finding& finding);
Json to_json(std::span<const Finding> findings);
Json to_json(const Error& error);
Json to_json(std::span<const std::uint64_t> shape);

/// An integer of a report as JSON.
inline Json number(std::uint64_t value) { return Json(value); }

/// A number of a report as JSON: an integer where it is whole, null where there is none or none
/// that JSON can hold.
Json real(const std::optional<double>& value);

/// Prints the document to standard output: ASCII, indented, keys in their order.
void print_json(const Json& document);

}  // namespace ferrule::cli
