// SPDX-License-Identifier: Apache-2.0
#include "print/rescue_report.hpp"

#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {

void print_report(const RescueReport& report, std::string_view verb, const std::string& output) {
  std::string text = colored(Stream::kOut, Color::kGreen, verb) + " ";
  text += report.adapter.empty() ? report.peft_type
                                 : printable(report.adapter) + " (" + report.peft_type + ")";
  text += " to " + printable(output) + "\n    from " + printable(report.source.string()) + ", " +
          report.kind;
  if (report.step) text += ", step " + std::to_string(*report.step);
  if (report.world_size) text += ", " + counted(*report.world_size, "rank");
  text += "\n    " + counted(report.tensors, "tensor") + ", " +
          counted(report.parameters, "parameter") + ", " + human_bytes(report.file_bytes);
  text += "\n    read " + human_bytes(report.bytes_read) + " of " +
          human_bytes(report.checkpoint_bytes) + " in " + counted(report.files, "file") + "\n";
  print(Stream::kOut, text);
  cli::report(report.findings);
}

}  // namespace ferrule::cli
