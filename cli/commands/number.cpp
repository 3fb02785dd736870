// SPDX-License-Identifier: Apache-2.0
#include "commands/number.hpp"

#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "ferrule/text.hpp"

namespace ferrule::cli {
namespace {

template <typename Number>
std::optional<Number> parse(const std::string& text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const char* const begin = text.starts_with('+') ? text.data() + 1 : text.data();
  const auto [stop, code] = std::from_chars(begin, end, number);
  if (code != std::errc() || stop != end) return std::nullopt;
  return number;
}

}  // namespace

Argument& add_count(Arguments& command, std::string_view spellings,
                    std::optional<std::uint64_t>& value, std::string value_name, std::string help,
                    std::uint64_t least) {
  const auto text = std::make_shared<std::string>();
  return command.option(spellings, *text, std::move(value_name), std::move(help))
      .check([text, &value, least](const std::string& given) -> std::string {
        value = parse<std::uint64_t>(given);
        if (value && *value >= least) return {};
        return "expected a whole number of at least " + std::to_string(least) + ", found " +
               quote(given);
      });
}

Argument& add_share(Arguments& command, std::string_view spellings, std::optional<double>& value,
                    std::string value_name, std::string help) {
  const auto text = std::make_shared<std::string>();
  return command.option(spellings, *text, std::move(value_name), std::move(help))
      .check([text, &value](const std::string& given) -> std::string {
        value = parse<double>(given);
        if (value && *value >= 0 && *value <= 1) return {};
        return "expected a number from 0 to 1, found " + quote(given);
      });
}

Argument& add_numbers(Arguments& command, std::string_view spellings, std::vector<double>& values,
                      std::string value_name, std::string help) {
  const auto texts = std::make_shared<std::vector<std::string>>();
  return command.option(spellings, *texts, std::move(value_name), std::move(help))
      .check([texts, &values](const std::string& given) -> std::string {
        const auto number = parse<double>(given);
        if (!number || !std::isfinite(*number)) return "expected a number, found " + quote(given);
        values.push_back(*number);
        return {};
      });
}

void add_threads(Arguments& command, unsigned& threads) {
  const auto text = std::make_shared<std::string>();
  threads = 0;
  command.option("--threads", *text, "N", "How many threads work at once (default: one a core)")
      .check([text, &threads](const std::string& given) -> std::string {
        const auto number = parse<unsigned>(given);
        if (!number) return "expected a whole number, found " + quote(given);
        threads = *number;
        return {};
      });
}

}  // namespace ferrule::cli
