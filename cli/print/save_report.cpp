// SPDX-License-Identifier: Apache-2.0
#include "print/save_report.hpp"

#include <algorithm>
#include <string>

#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMaxLeftOut = 10;

std::uint64_t saved_bytes(const SaveReport& report) {
  std::uint64_t bytes = 0;
  for (const auto& adapter : report.adapters) bytes += adapter.file_bytes;
  return bytes;
}

std::string reduction(std::uint64_t before, std::uint64_t after) {
  if (after == 0 || before <= after) return {};
  const auto times = static_cast<double>(before) / static_cast<double>(after);
  return ", " +
         plain_number(times >= 10
                          ? static_cast<double>(static_cast<std::uint64_t>(times))
                          : static_cast<double>(static_cast<std::uint64_t>(times * 10)) / 10) +
         " times smaller";
}

}  // namespace

void print_report(const SaveReport& report) {
  for (const auto& adapter : report.adapters) {
    std::string files;
    for (const auto& file : adapter.files) files += (files.empty() ? "" : ", ") + printable(file);
    print(Stream::kOut, colored(Stream::kOut, Color::kGreen, "saved") + " " +
                            printable(adapter.name) + " (" + printable(adapter.peft_type) +
                            ") to " + printable(adapter.directory.string()) + "\n    " + files +
                            "\n    " + counted(adapter.tensors, "tensor") + ", " +
                            counted(adapter.parameters, "parameter") + ", " +
                            human_bytes(adapter.file_bytes) + "\n");
  }
  const auto after = saved_bytes(report);
  print(Stream::kOut, "state dict " + human_bytes(report.state_bytes) + ", saved " +
                          human_bytes(after) + reduction(report.state_bytes, after) + "\n");
  if (!report.left_out.empty()) {
    print(Stream::kOut, "left out:\n");
    const auto shown = std::min(report.left_out.size(), kMaxLeftOut);
    for (std::size_t i = 0; i < shown; ++i) {
      const auto& item = report.left_out[i];
      print(Stream::kOut, "    " + printable(item.key, 200) + ": " + item.why + "\n");
    }
    if (shown < report.left_out.size()) {
      print(Stream::kOut, "    ... and " + grouped(report.left_out.size() - shown) +
                              " more (--json lists them all)\n");
    }
  }
  cli::report(report.findings);
}

}  // namespace ferrule::cli
