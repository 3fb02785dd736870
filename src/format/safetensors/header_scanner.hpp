// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/error.hpp"

namespace ferrule::format {

/// Reads the tokens of a safetensors header: the strict subset of JSON that it may contain. Every
/// function returns false after the first failure, which error() then holds.
class HeaderScanner {
 public:
  explicit HeaderScanner(std::string_view text) noexcept
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  const char* at() const noexcept { return at_; }
  const char* end() const noexcept { return end_; }
  void move_to(const char* at) noexcept { at_ = at; }
  std::uint64_t offset() const noexcept { return static_cast<std::uint64_t>(at_ - begin_); }

  void skip_space() noexcept {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  /// The next byte that is not white space, or '\0' at the end; does not consume it.
  char peek() noexcept {
    skip_space();
    return at_ < end_ ? *at_ : '\0';
  }

  /// Consumes `token` if it comes next.
  bool take(char token) noexcept {
    if (peek() != token || at_ >= end_) return false;
    ++at_;
    return true;
  }

  /// Consumes `word` where it comes next.
  bool take_word(std::string_view word) noexcept {
    skip_space();
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word))
      return false;
    at_ += word.size();
    return true;
  }

  /// Consumes `token`, or fails with ST-4.
  bool expect(char token, std::string_view where);

  /// Reads a string. `raw` is the text between the quotes; `escaped` says that it has to go
  /// through unescape(), which cannot fail then (ST-4, ST-5).
  bool string(std::string_view& raw, bool& escaped, std::string_view what);

  /// A plain unsigned integer below 2^64 (ST-8): `what` (text of ours) of the tensor `name`.
  bool integer(std::uint64_t& value, std::string_view what, std::string_view name);

  /// Records the failure and returns false.
  bool refuse(std::string_view rule, std::string message, ErrorCode code = ErrorCode::kCorrupt);
  bool failed() const noexcept { return !error_.message.empty(); }
  Error& error() noexcept { return error_; }

  /// What comes next, for messages.
  std::string found();

 private:
  bool escape_sequence(std::string_view what);
  bool four_hex_digits(std::uint32_t& value) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  Error error_;
};

/// The text of a string that the scanner accepted.
std::string unescape(std::string_view raw);

}  // namespace ferrule::format
