// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/text.hpp"

namespace ferrule::cli {

/// " (did you mean X?)", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

/// An option that takes one of a few words. A misspelt one gets a suggestion.
template <typename T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, T& value,
                        std::vector<std::pair<std::string, T>> choices, const std::string& help) {
  std::vector<std::string> words;
  std::string list;
  for (const auto& [word, meaning] : choices) {
    words.push_back(word);
    list += (list.empty() ? "" : "|") + word;
  }
  auto* option = command.add_option_function<std::string>(
      name,
      [&value, choices = std::move(choices)](const std::string& given) {
        for (const auto& [word, meaning] : choices) {
          if (word == given) value = meaning;
        }
      },
      help);
  option->check(CLI::Validator(
      [words](std::string& given) -> std::string {
        for (const auto& word : words) {
          if (word == given) return {};
        }
        return "no such choice: " + quote(given) + did_you_mean(given, words);
      },
      ""));
  return option->type_name(list);
}

/// `--key NAME`: where the state dict lies one level down in a torch file.
void add_torch_key(CLI::App& command, OpenOptions& open);

/// `--durability`.
void add_durability(CLI::App& command, Durability& durability,
                    const std::string& help = "How much to wait for the disk [safe]");

/// The first mistake in the words of a command line that CLI11 would only call unexpected: a
/// command or a long option that does not exist. Empty where there is none.
std::string find_misspelling(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace ferrule::cli
