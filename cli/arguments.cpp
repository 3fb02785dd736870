// SPDX-License-Identifier: Apache-2.0
#include "arguments.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "ferrule/text.hpp"

namespace ferrule::cli {
namespace {

std::vector<std::string> split_spellings(std::string_view text) {
  std::vector<std::string> spellings;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    spellings.emplace_back(part);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return spellings;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : separator).append(word);
  return text;
}

/// "--base PATH", "ADAPTER".
std::string with_value(const Argument& argument) {
  if (argument.is_positional() || argument.is_flag()) return argument.name();
  return argument.name() + " " + argument.value_name();
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  const auto best = suggest(word, views);
  return best ? " (did you mean " + std::string(*best) + "?)" : std::string();
}

Argument& Argument::required() {
  is_required_ = true;
  return *this;
}

Argument& Argument::required_unless(std::string spelling) {
  required_unless_ = std::move(spelling);
  return *this;
}

Argument& Argument::alias(std::string spelling) {
  aliases_.push_back(std::move(spelling));
  return *this;
}

Argument& Argument::suggested(std::vector<std::string> words) {
  suggestions_ = std::move(words);
  return *this;
}

Argument& Argument::excludes(std::string spelling) {
  excludes_.push_back(std::move(spelling));
  return *this;
}

Argument& Argument::needs(std::string spelling) {
  needs_.push_back(std::move(spelling));
  return *this;
}

Argument& Argument::check(std::function<std::string(const std::string&)> checker) {
  checkers_.push_back(std::move(checker));
  return *this;
}

Argument::Kind Argument::kind() const {
  const auto& value = is_positional_ ? spellings_.front() : value_name_;
  if (value == "DIR" || value == "ADAPTER" || value == "A" || value == "B") return Kind::kDirectory;
  const bool is_path = value == "PATH" || value == "STATE" || value.ends_with("FILE");
  return is_path ? Kind::kPath : Kind::kText;
}

bool Argument::answers_to(std::string_view word) const {
  const auto has = [&](const std::vector<std::string>& words) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  return !is_positional_ && (has(spellings_) || has(aliases_));
}

Argument& Arguments::add(Argument argument) {
  list_.push_back(std::make_unique<Argument>(std::move(argument)));
  return *list_.back();
}

Argument& Arguments::positional(std::string name, std::string& value, std::string help) {
  Argument argument;
  argument.spellings_ = {name};
  argument.value_name_ = std::move(name);
  argument.help_ = std::move(help);
  argument.is_positional_ = true;
  argument.store_ = [&value](const std::string& given) { value = given; };
  return add(std::move(argument));
}

Argument& Arguments::positional(std::string name, std::vector<std::string>& values,
                                std::string help) {
  std::string unused;
  auto& argument = positional(std::move(name), unused, std::move(help));
  argument.is_repeatable_ = true;
  argument.store_ = [&values](const std::string& given) { values.push_back(given); };
  return argument;
}

Argument& Arguments::option(std::string_view spellings, std::string& value, std::string value_name,
                            std::string help) {
  Argument argument;
  argument.spellings_ = split_spellings(spellings);
  argument.value_name_ = std::move(value_name);
  argument.help_ = std::move(help);
  argument.store_ = [&value](const std::string& given) { value = given; };
  return add(std::move(argument));
}

Argument& Arguments::option(std::string_view spellings, std::vector<std::string>& values,
                            std::string value_name, std::string help) {
  std::string unused;
  auto& argument = option(spellings, unused, std::move(value_name), std::move(help));
  argument.is_repeatable_ = true;
  argument.store_ = [&values](const std::string& given) { values.push_back(given); };
  return argument;
}

Argument& Arguments::flag(std::string_view spellings, bool& value, std::string help) {
  std::string unused;
  auto& argument = option(spellings, unused, {}, std::move(help));
  argument.store_ = [&value](const std::string&) { value = true; };
  return argument;
}

Argument& Arguments::choice_of(std::string_view spellings, std::vector<std::string> choices,
                               std::function<void(const std::string&)> store, std::string help) {
  std::string unused;
  auto& argument = option(spellings, unused, joined(choices, "|"), std::move(help));
  argument.store_ = std::move(store);
  argument.check([choices](const std::string& given) -> std::string {
    if (std::find(choices.begin(), choices.end(), given) != choices.end()) return {};
    const auto guess = did_you_mean(given, choices);
    return "no such choice: " + quote(given) +
           (guess.empty() ? " (choose from " + joined(choices, ", ") + ")" : guess);
  });
  argument.choices_ = std::move(choices);
  return argument;
}

Arguments& Arguments::subcommand(std::string name, std::string summary) {
  subcommands_.push_back(std::make_unique<Arguments>(std::move(name), std::move(summary)));
  subcommands_.back()->parent_ = this;
  return *subcommands_.back();
}

const Arguments& Arguments::filled() const {
  // A command with arguments that are yet to be added was made by subcommand(): it is not const.
  if (auto fill = std::exchange(fill_, nullptr)) fill(const_cast<Arguments&>(*this));
  return *this;
}

std::string Arguments::path() const {
  const auto above = parent_ != nullptr ? parent_->path() : std::string();
  return above.empty() ? name_ : above + " " + name_;
}

const Arguments* Arguments::find_subcommand(std::string_view name) const {
  for (const auto& command : subcommands()) {
    if (command->name() == name) return command.get();
  }
  return nullptr;
}

const Argument* Arguments::find(std::string_view spelling) const {
  for (const auto& argument : list()) {
    if (argument->answers_to(spelling)) return argument.get();
  }
  return nullptr;
}

/// One pass over the words. Values are stored only if there is no mistake at all.
class Arguments::Parser {
 public:
  Parser(const Arguments& root, const std::vector<std::string>& words)
      : words_(words), command_(&root) {}

  Parsed parse() {
    while (next_ < words_.size() && !stopped_) take(words_[next_++]);
    if (!stopped_ && command_->subcommands().empty()) finish();
    if (!stopped_) settle();
    result_.command = command_;
    return std::move(result_);
  }

 private:
  void take(const std::string& word) {
    if (only_positional_ || word == "-" || word.empty() || word[0] != '-') return take_plain(word);
    if (word == "--") {
      only_positional_ = true;
    } else if (word == "--help" || word == "-h") {
      result_.wants_help = true;
      stop();
    } else if (command_->parent_ == nullptr && (word == "--version" || word == "-V")) {
      result_.wants_version = true;
      stop();
    } else if (word.starts_with("--")) {
      take_long(word);
    } else {
      take_short(word);
    }
  }

  /// Sets the variables first: a check may depend on another option.
  void settle() {
    for (const auto& [argument, value] : values_) argument->store_(value);
    for (const auto& [argument, value] : values_) {
      for (const auto& check : argument->checkers_) {
        const auto wrong = check(value);
        if (!wrong.empty()) result_.mistakes.push_back(argument->name() + ": " + wrong);
      }
    }
  }

  void stop() {
    stopped_ = true;
    result_.mistakes.clear();
  }

  void take_plain(const std::string& word) {
    if (!command_->subcommands().empty()) {
      if (const auto* inner = command_->find_subcommand(word)) {
        command_ = inner;
        return;
      }
      std::vector<std::string> names;
      for (const auto& command : command_->subcommands()) names.push_back(command->name());
      result_.mistakes.push_back("no such command: " + quote(word, 100) +
                                 did_you_mean(word, names));
      stopped_ = true;
      return;
    }
    positional_.push_back(word);
  }

  void take_long(const std::string& word) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto* argument = command_->find(name);
    if (argument == nullptr) {
      return unknown(name, did_you_mean(name, known_options()));
    }
    if (argument->is_flag()) {
      if (equals != std::string::npos) return mistake(*argument, "takes no value");
      return give(*argument, {});
    }
    if (equals != std::string::npos) return give(*argument, word.substr(equals + 1));
    take_value(*argument);
  }

  std::vector<std::string> known_options() const {
    std::vector<std::string> known = {"--help"};
    if (command_->parent_ == nullptr) known.emplace_back("--version");
    for (const auto& argument : command_->list()) {
      if (argument->is_positional()) continue;
      known.push_back(argument->name());
      known.insert(known.end(), argument->aliases_.begin(), argument->aliases_.end());
    }
    return known;
  }

  /// "-q", "-qv", "-o DIR" or "-oDIR".
  void take_short(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const auto name = std::string("-") + word[i];
      const auto* argument = command_->find(name);
      if (argument == nullptr) return unknown(i == 1 ? word : name, {});
      if (argument->is_flag()) {
        give(*argument, {});
      } else if (i + 1 < word.size()) {
        const auto start = word[i + 1] == '=' ? i + 2 : i + 1;
        return give(*argument, word.substr(start));
      } else {
        return take_value(*argument);
      }
    }
  }

  void take_value(const Argument& argument) {
    const bool is_missing = next_ == words_.size() || words_[next_] == "--" ||
                            command_->find(words_[next_].substr(0, words_[next_].find('=')));
    if (is_missing) return mistake(argument, "needs a value: " + argument.value_name());
    give(argument, words_[next_++]);
  }

  void unknown(const std::string& word, const std::string& guess) {
    result_.mistakes.push_back("no such option: " + printable(word, 100) + guess);
    has_unknown_ = true;
  }

  void mistake(const Argument& argument, const std::string& what) {
    result_.mistakes.push_back(argument.name() + " " + what);
    ++given_[&argument];
  }

  void give(const Argument& argument, const std::string& value) {
    if (++given_[&argument] == 2 && !argument.is_repeatable() && !argument.is_flag()) {
      result_.mistakes.push_back(argument.name() + " is given more than once");
    }
    values_.emplace_back(&argument, value);
  }

  /// What can only be told at the end: positional arguments, and what is missing.
  void finish() {
    std::size_t taken = 0;
    for (const auto& argument : command_->list()) {
      if (!argument->is_positional()) continue;
      const auto end =
          argument->is_repeatable() ? positional_.size() : std::min(taken + 1, positional_.size());
      for (; taken < end; ++taken) give(*argument, positional_[taken]);
    }
    // An option that is not known may have taken the next word: what follows would be guesses.
    if (has_unknown_) return;
    for (; taken < positional_.size(); ++taken) {
      result_.mistakes.push_back("unexpected argument: " + quote(positional_[taken], 100));
    }
    for (const auto& argument : command_->list()) {
      const bool is_given = given_.contains(argument.get());
      const auto& unless = argument->required_unless_;
      const bool is_wanted =
          argument->is_required() || (!unless.empty() && !given_.contains(command_->find(unless)));
      if (is_wanted && !is_given) {
        result_.mistakes.push_back(with_value(*argument) + " is required");
      }
      if (!is_given) continue;
      for (const auto& other : argument->excludes_) {
        if (!given_.contains(command_->find(other))) continue;
        result_.mistakes.push_back(argument->name() + " and " + other + " exclude each other");
      }
      for (const auto& other : argument->needs_) {
        if (given_.contains(command_->find(other))) continue;
        result_.mistakes.push_back(argument->name() + " needs " + other);
      }
    }
  }

  const std::vector<std::string>& words_;
  const Arguments* command_;
  std::size_t next_ = 0;
  bool only_positional_ = false;
  bool stopped_ = false;
  bool has_unknown_ = false;
  std::vector<std::string> positional_;
  std::map<const Argument*, int> given_;
  std::vector<std::pair<const Argument*, std::string>> values_;
  Parsed result_;
};

Arguments::Parsed Arguments::parse(const std::vector<std::string>& words) const {
  return Parser(*this, words).parse();
}

}  // namespace ferrule::cli
