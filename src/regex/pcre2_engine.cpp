// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "regex/engine.hpp"

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

/// Frees what PCRE2 made.
struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::uint32_t options_of(Anchor anchor) {
  switch (anchor) {
    case Anchor::kNone:
      return 0;
    case Anchor::kStart:
      return PCRE2_ANCHORED;
    case Anchor::kBoth:
      return PCRE2_ANCHORED | PCRE2_ENDANCHORED;
  }
  return 0;
}

class Pcre2Engine final : public Engine {
 public:
  Pcre2Engine(std::string expression, Owned<pcre2_code> code, Owned<pcre2_match_context> limits)
      : expression_(std::move(expression)), code_(std::move(code)), limits_(std::move(limits)) {}

  Result<bool> run(std::string_view text, Anchor anchor, std::vector<std::string_view>* groups,
                   bool all_groups) const override {
    const Owned<pcre2_match_data> data(
        all_groups ? pcre2_match_data_create_from_pattern(code_.get(), nullptr)
                   : pcre2_match_data_create(1, nullptr));
    if (!data) return failure(ErrorCode::kLimitExceeded, "CF-22", expression_, "finds no memory");
    const auto* bytes = reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data());
    const int found = pcre2_match(code_.get(), bytes, text.size(), 0, options_of(anchor),
                                  data.get(), limits_.get());
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21) return false;
    if (found < 0) {
      return failure(ErrorCode::kLimitExceeded, "CF-22", expression_,
                     "takes too many steps on " + quote(text) + " (" + engine_message(found) +
                         "); PEFT would not finish on it");
    }
    if (groups == nullptr) return true;
    const auto* ends = pcre2_get_ovector_pointer(data.get());
    const auto count = all_groups ? pcre2_get_ovector_count(data.get()) : 1;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto from = ends[2 * i];
      const auto to = ends[2 * i + 1];
      groups->push_back(from == PCRE2_UNSET ? std::string_view() : text.substr(from, to - from));
    }
    return true;
  }

 private:
  std::string expression_;
  Owned<pcre2_code> code_;
  Owned<pcre2_match_context> limits_;
};

}  // namespace

Result<std::unique_ptr<const Engine>> compile_with_pcre2(std::string_view expression,
                                                         std::string_view translated) {
  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  Owned<pcre2_match_context> limits(pcre2_match_context_create(nullptr));
  if (!context || !limits) {
    return failure(ErrorCode::kLimitExceeded, "CF-22", expression, "finds no memory");
  }
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_match_limit(limits.get(), kMatchLimit);
  pcre2_set_heap_limit(limits.get(), kHeapLimitKibibytes);
  int error = 0;
  std::size_t offset = 0;
  Owned<pcre2_code> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX, &error, &offset, context.get()));
  if (!code) {
    return failure(ErrorCode::kUnsupported, "CF-21", expression,
                   "cannot be run by Ferrule: " + engine_message(error));
  }
  return std::unique_ptr<const Engine>(
      std::make_unique<Pcre2Engine>(std::string(expression), std::move(code), std::move(limits)));
}

}  // namespace ferrule::regex
