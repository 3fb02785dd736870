// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The command line as data: what each command takes, how words become values, and what help,
/// completions and the man page list.
///
///   ferrule COMMAND [SUBCOMMAND] [-o VALUE] [-oVALUE] [--name VALUE] [--name=VALUE] [--flag]
///           [--] ARGUMENT...
///
/// Options and positional arguments may be mixed; after "--" every word is positional; "-" is a
/// word (standard input). A parse collects every mistake that it can be sure of.
namespace ferrule::cli {

/// One option, flag or positional argument.
class Argument {
 public:
  /// What completions offer for the value.
  enum class Kind : std::uint8_t { kText, kPath, kDirectory };

  Argument& required();
  /// Required if the option of that spelling is not given.
  Argument& required_unless(std::string spelling);
  /// A spelling that works and is not listed: of older releases, or that a user may guess.
  Argument& alias(std::string spelling);
  /// Completions offer these words; others are allowed too.
  Argument& suggested(std::vector<std::string> words);
  /// A mistake together with the option of that spelling, or without it.
  Argument& excludes(std::string spelling);
  Argument& needs(std::string spelling);
  /// Called with each value; returns what is wrong with it, or an empty text.
  Argument& check(std::function<std::string(const std::string&)> checker);

  /// "-o", "--output"; the name of a positional argument ("ADAPTER").
  const std::vector<std::string>& spellings() const { return spellings_; }
  /// The longest spelling, as messages name it.
  const std::string& name() const { return spellings_.back(); }
  /// The placeholder of the value ("DIR"); empty for a flag.
  const std::string& value_name() const { return value_name_; }
  const std::string& help() const { return help_; }
  /// All values that are allowed; empty if any text is.
  const std::vector<std::string>& choices() const { return choices_; }
  const std::vector<std::string>& suggestions() const { return suggestions_; }
  Kind kind() const;
  bool is_flag() const { return value_name_.empty(); }
  bool is_positional() const { return is_positional_; }
  bool is_required() const { return is_required_; }
  /// True if it is required, or may only be left out because of another option.
  bool is_expected() const { return is_required_ || !required_unless_.empty(); }
  bool is_repeatable() const { return is_repeatable_; }
  bool answers_to(std::string_view word) const;

 private:
  friend class Arguments;
  std::vector<std::string> spellings_;
  std::vector<std::string> aliases_;
  std::string value_name_;
  std::string help_;
  std::vector<std::string> choices_;
  std::vector<std::string> suggestions_;
  std::vector<std::string> excludes_;
  std::vector<std::string> needs_;
  bool is_positional_ = false;
  bool is_required_ = false;
  std::string required_unless_;
  bool is_repeatable_ = false;
  std::vector<std::function<std::string(const std::string&)>> checkers_;
  std::function<void(const std::string&)> store_;
};

/// What a command does once its words are parsed; returns the exit code.
using Action = std::function<int()>;

/// One command: its arguments, its subcommands, its help.
class Arguments {
 public:
  Arguments(std::string name, std::string summary)
      : name_(std::move(name)), summary_(std::move(summary)) {}
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // The variables outlive the parse. One of a vector takes several values.
  Argument& positional(std::string name, std::string& value, std::string help);
  Argument& positional(std::string name, std::vector<std::string>& values, std::string help);
  Argument& option(std::string_view spellings, std::string& value, std::string value_name,
                   std::string help);
  Argument& option(std::string_view spellings, std::vector<std::string>& values,
                   std::string value_name, std::string help);
  Argument& flag(std::string_view spellings, bool& value, std::string help);

  /// An option that takes one of a few words.
  template <typename T>
  Argument& choice(std::string_view spellings, T& value,
                   std::vector<std::pair<std::string, T>> choices, std::string help) {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : choices) words.push_back(word);
    return choice_of(
        spellings, std::move(words),
        [&value, choices = std::move(choices)](const std::string& given) {
          for (const auto& [word, meaning] : choices) {
            if (word == given) value = meaning;
          }
        },
        std::move(help));
  }

  Arguments& subcommand(std::string name, std::string summary);
  /// Adds the arguments when they are first needed: of many commands one is run.
  void filled_by(std::function<void(Arguments&)> fill) { fill_ = std::move(fill); }

  /// Paragraphs for the end of the help. Lines that start with a space are kept as they are; others
  /// are wrapped.
  void about(std::string text) { about_ = std::move(text); }
  void action(Action action) { action_ = std::move(action); }
  /// The heading under which the command is listed.
  void group(std::string group) { group_ = std::move(group); }

  const std::string& name() const { return name_; }
  /// "config new": the name with those of the commands above it.
  std::string path() const;
  const std::string& summary() const { return summary_; }
  const std::string& group() const { return group_; }
  const std::string& about() const { return filled().about_; }
  const std::vector<std::unique_ptr<Argument>>& list() const { return filled().list_; }
  const std::vector<std::unique_ptr<Arguments>>& subcommands() const {
    return filled().subcommands_;
  }
  const Arguments* find_subcommand(std::string_view name) const;
  int run() const { return filled().action_(); }
  bool has_action() const { return static_cast<bool>(filled().action_); }

  struct Parsed {
    /// The command that the words name.
    const Arguments* command = nullptr;
    /// Sentences; empty if the words are valid.
    std::vector<std::string> mistakes;
    bool wants_help = false;
    bool wants_version = false;
  };
  /// Reads the words after the program's name and sets the variables.
  Parsed parse(const std::vector<std::string>& words) const;

 private:
  class Parser;
  Argument& add(Argument argument);
  Argument& choice_of(std::string_view spellings, std::vector<std::string> choices,
                      std::function<void(const std::string&)> store, std::string help);
  const Argument* find(std::string_view spelling) const;
  const Arguments& filled() const;

  std::string name_;
  std::string summary_;
  std::string group_;
  std::string about_;
  const Arguments* parent_ = nullptr;
  std::vector<std::unique_ptr<Argument>> list_;
  std::vector<std::unique_ptr<Arguments>> subcommands_;
  Action action_;
  mutable std::function<void(Arguments&)> fill_;
};

/// " (did you mean X?)", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ferrule::cli
