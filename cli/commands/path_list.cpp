// SPDX-License-Identifier: Apache-2.0
#include "commands/path_list.hpp"

#include <algorithm>
#include <utility>

#include "ferrule/text_file.hpp"
#include "print/failure.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMaxList = std::size_t{64} << 20;

}  // namespace

void PathList::add_to(Arguments& command, const std::string& name, const std::string& help) {
  command.positional(name, given_, help).required_unless("--files-from");
  add_file_to(command);
}

void PathList::add_file_to(Arguments& command) {
  command.option("--files-from", files_from_, "FILE",
                 "Also take the lines of this file as paths; - is standard input");
}

PathList::Paths PathList::read(bool json) const {
  auto paths = given_;
  if (!files_from_.empty()) {
    auto text =
        files_from_ == "-" ? read_standard_input(kMaxList) : read_text_file(files_from_, kMaxList);
    if (!text) return Paths(fail(text.error(), json));
    for (std::size_t start = 0; start < text->size();) {
      const auto line_end = std::min(text->find('\n', start), text->size());
      const auto end = line_end > start && (*text)[line_end - 1] == '\r' ? line_end - 1 : line_end;
      if (end > start) paths.push_back(text->substr(start, end - start));
      start = line_end + 1;
    }
  }
  return Paths(std::move(paths));
}

}  // namespace ferrule::cli
