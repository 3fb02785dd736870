// SPDX-License-Identifier: Apache-2.0
#include "help.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "print/wrap.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kPlainColumns = 80;
constexpr std::size_t kMaxColumns = 100;
constexpr std::size_t kMinColumns = 30;
constexpr std::size_t kMaxLabel = 28;  // A longer label has its line to itself.
constexpr std::size_t kStacked = 60;   // Narrower than this, help goes below the label.

/// A label and its help, the rows of one block of a help page.
using Rows = std::vector<std::pair<std::string, std::string>>;

std::string label(const Argument& argument) {
  std::string text;
  for (const auto& spelling : argument.spellings()) {
    text += (text.empty() ? "" : ", ") + spelling;
  }
  if (argument.is_positional()) return argument.is_repeatable() ? text + "..." : text;
  // Without a short spelling the long one is aligned with the others.
  if (argument.spellings().size() == 1) text.insert(0, "    ");
  return argument.is_flag() ? text : text + " " + argument.value_name();
}

std::string note(const Argument& argument) {
  if (argument.is_positional()) return argument.help();
  std::string marks;
  if (argument.is_required()) marks = "required";
  if (argument.is_repeatable()) marks += marks.empty() ? "may be repeated" : ", may be repeated";
  return marks.empty() ? argument.help() : argument.help() + " (" + marks + ")";
}

/// The column in which the help of `rows` starts.
std::size_t label_width(const Rows& rows) {
  std::size_t width = 0;
  for (const auto& [label, help] : rows) {
    if (label.size() <= kMaxLabel) width = std::max(width, label.size());
  }
  return width;
}

std::string block(const std::string& title, const Rows& rows, std::size_t width,
                  std::size_t columns) {
  if (rows.empty()) return {};
  auto text = "\n" + title + ":\n";
  for (const auto& [label, help] : rows) {
    const bool is_stacked = columns < kStacked;
    const auto indent = is_stacked ? 8 : width + 4;
    const auto wrapped = wrap(help, columns > indent + 10 ? columns - indent : 10);
    text += "  " + label;
    bool starts_line = is_stacked || label.size() > width;
    if (starts_line) text += "\n";
    for (std::size_t i = 0; i < wrapped.size(); ++i) {
      const auto used = i == 0 && !starts_line ? label.size() + 2 : 0;
      text += std::string(indent - used, ' ') + wrapped[i] + "\n";
    }
  }
  return text;
}

std::string about_text(const std::string& about, std::size_t columns) {
  std::string text;
  std::string paragraph;
  const auto flush = [&] {
    for (const auto& line : wrap(paragraph, columns)) text += line + "\n";
    paragraph.clear();
  };
  std::size_t start = 0;
  while (start <= about.size() && !about.empty()) {
    const auto end = std::min(about.find('\n', start), about.size());
    const auto line = about.substr(start, end - start);
    if (line.empty() || line[0] == ' ') {
      flush();
      text += line + "\n";
    } else {
      paragraph += (paragraph.empty() ? "" : " ") + line;
    }
    start = end + 1;
  }
  flush();
  return text.empty() ? text : "\n" + text;
}

Rows options_of(const Arguments& command) {
  Rows rows;
  for (const auto& argument : command.list()) {
    if (!argument->is_positional()) rows.emplace_back(label(*argument), note(*argument));
  }
  rows.emplace_back("-h, --help", "Print this help");
  if (command.path() == command.name()) rows.emplace_back("-V, --version", "Print the version");
  return rows;
}

std::string commands_text(const Arguments& command, std::size_t columns) {
  std::vector<std::string> groups;
  for (const auto& inner : command.subcommands()) {
    if (std::find(groups.begin(), groups.end(), inner->group()) == groups.end()) {
      groups.push_back(inner->group());
    }
  }
  Rows all;
  for (const auto& inner : command.subcommands()) all.emplace_back(inner->name(), "");
  std::string text;
  for (const auto& group : groups) {
    Rows rows;
    for (const auto& inner : command.subcommands()) {
      if (inner->group() == group) rows.emplace_back(inner->name(), inner->summary());
    }
    text += block(group.empty() ? "Commands" : group, rows, label_width(all), columns);
  }
  return text;
}

Json::Array texts(const std::vector<std::string>& words) { return {words.begin(), words.end()}; }

const char* kind_name(const Argument& argument) {
  if (argument.is_flag()) return "flag";
  switch (argument.kind()) {
    case Argument::Kind::kPath:
      return "path";
    case Argument::Kind::kDirectory:
      return "directory";
    case Argument::Kind::kText:
      break;
  }
  return argument.choices().empty() ? "text" : "choice";
}

void describe(const Arguments& command, Json::Array& list) {
  Json::Array arguments;
  for (const auto& argument : command.list()) {
    arguments.push_back(Json::Object{{"spellings", texts(argument->spellings())},
                                     {"positional", argument->is_positional()},
                                     {"kind", kind_name(*argument)},
                                     {"value", argument->value_name()},
                                     {"choices", texts(argument->choices())},
                                     {"suggestions", texts(argument->suggestions())},
                                     {"required", argument->is_expected()},
                                     {"repeatable", argument->is_repeatable()},
                                     {"help", argument->help()}});
  }
  list.push_back(Json::Object{{"command", command.path()},
                              {"group", command.group()},
                              {"summary", command.summary()},
                              {"usage", usage_line(command)},
                              {"about", command.about()},
                              {"arguments", std::move(arguments)}});
  for (const auto& inner : command.subcommands()) describe(*inner, list);
}

}  // namespace

std::string usage_line(const Arguments& command) {
  auto text = "Usage: " + command.path();
  if (!command.subcommands().empty()) return text + " COMMAND [options]";
  std::string required;
  std::string positional;
  bool has_options = false;
  for (const auto& argument : command.list()) {
    if (argument->is_positional()) {
      const auto name = argument->name() + (argument->is_repeatable() ? "..." : "");
      positional += " " + (argument->is_expected() ? name : "[" + name + "]");
    } else if (argument->is_required()) {
      required += " " + argument->spellings().front() + " " + argument->value_name();
    } else {
      has_options = true;
    }
  }
  return text + (has_options ? " [options]" : "") + positional + required;
}

std::string help_text(const Arguments& command, std::size_t columns) {
  std::string text;
  for (const auto& line : wrap(command.summary() + ".", columns)) text += line + "\n";
  text += "\n";
  for (const auto& line : wrap(usage_line(command), columns)) text += line + "\n";
  Rows positional;
  for (const auto& argument : command.list()) {
    if (argument->is_positional()) positional.emplace_back(label(*argument), note(*argument));
  }
  text += block("Arguments", positional, label_width(positional), columns);
  text += commands_text(command, columns);
  const auto options = options_of(command);
  text += block("Options", options, label_width(options), columns);
  return text + about_text(command.about(), columns);
}

std::size_t help_columns() {
  const auto columns = terminal_columns();
  return columns == 0 ? kPlainColumns : std::clamp(columns, kMinColumns, kMaxColumns);
}

Json::Array describe_commands(const Arguments& root) {
  Json::Array list;
  describe(root, list);
  return list;
}

}  // namespace ferrule::cli
