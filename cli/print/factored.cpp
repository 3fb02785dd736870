// SPDX-License-Identifier: Apache-2.0
#include "print/factored.hpp"

#include <algorithm>

#include "ferrule/spectrum_report.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "print/failure.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

std::string ranks_of(const std::vector<FactoredModule>& modules) {
  if (modules.empty()) return {};
  const auto [least, most] = std::minmax_element(
      modules.begin(), modules.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  auto text = " of rank " + grouped(least->rank);
  if (most->rank != least->rank) text += " to " + grouped(most->rank);
  return text;
}

}  // namespace

void print_factored(const std::string& output, const std::vector<FactoredModule>& modules,
                    std::uint64_t parameters, double relative_error) {
  std::string text = printable(output) + ": " + counted(modules.size(), "module") +
                     ranks_of(modules) + ", " + counted(parameters, "parameter") + "\n";
  text += "relative error of the updates: " + plain_number(relative_error);
  const auto worst = std::max_element(
      modules.begin(), modules.end(),
      [](const auto& a, const auto& b) { return a.relative_error < b.relative_error; });
  if (worst != modules.end() && worst->relative_error > 0) {
    text +=
        ", at most " + plain_number(worst->relative_error) + " in " + printable(worst->path, 400);
  }
  print(Stream::kOut, text + "\n");
}

void add_report(Arguments& command, std::string& file) {
  command.option("--report", file, "FILE",
                 "Also write a page of HTML with a plot of each module's singular values");
}

int write_report(const std::string& file, const std::vector<FactoredModule>& modules,
                 const std::string& output, bool json) {
  if (file.empty()) return kGood;
  const auto written = write_text_file(file, spectrum_report(modules, output));
  return written ? kGood : fail(written.error(), json);
}

}  // namespace ferrule::cli
