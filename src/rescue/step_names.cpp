// SPDX-License-Identifier: Apache-2.0
#include "rescue/step_names.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace ferrule::rescues {
namespace {

constexpr std::array<std::string_view, 9> kStepHeads = {"checkpoint-", "checkpoint_", "global_step",
                                                        "step-",       "step_",       "iter_",
                                                        "epoch",       "step=",       "ckpt-"};

std::string_view digits_at_end(std::string_view text) {
  std::size_t start = text.size();
  while (start > 0 && text[start - 1] >= '0' && text[start - 1] <= '9') --start;
  return text.substr(start);
}

std::optional<std::int64_t> to_number(std::string_view digits) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end == digits.data()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<std::int64_t> number_in(std::string_view name) {
  const bool lightning = name.ends_with(".ckpt");
  if (lightning) name.remove_suffix(5);
  if (name.ends_with("_universal")) name.remove_suffix(10);
  constexpr std::string_view kStep = "step=";
  if (const auto at = name.find(kStep); at != std::string_view::npos) {
    return to_number(name.substr(at + kStep.size()));
  }
  const auto digits = digits_at_end(name);
  const auto head = name.substr(0, name.size() - digits.size());
  // "-v1" is Lightning's second file of one name; "loss=0.25" is no step, "epoch=3" only an epoch.
  if (lightning && (head.ends_with("-v") || head.find('=') != std::string_view::npos)) {
    return std::nullopt;
  }
  return to_number(digits);
}

bool is_step_folder(std::string_view name) {
  return number_in(name) &&
         std::any_of(kStepHeads.begin(), kStepHeads.end(),
                     [&](std::string_view head) { return name.starts_with(head); });
}

void newest_first(std::vector<std::string>& names) {
  std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return number_in(a).value_or(-1) > number_in(b).value_or(-1);
  });
}

}  // namespace ferrule::rescues
