// SPDX-License-Identifier: Apache-2.0
#include "print/rescue_report.hpp"

#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
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

Json::Object rescue_document(const RescueReport& report, const std::string& output) {
  Json::Object document;
  document.emplace_back("output", Json(output));
  document.emplace_back("kind", Json(report.kind));
  document.emplace_back("source", Json(report.source.string()));
  document.emplace_back("step", report.step ? Json(*report.step) : Json());
  document.emplace_back("world_size", report.world_size ? number(*report.world_size) : Json());
  document.emplace_back("adapter", Json(report.adapter));
  document.emplace_back("peft_type", Json(report.peft_type));
  document.emplace_back("tensors", number(report.tensors));
  document.emplace_back("parameters", number(report.parameters));
  document.emplace_back("file_bytes", number(report.file_bytes));
  document.emplace_back("files_read", number(report.files));
  document.emplace_back("checkpoint_bytes", number(report.checkpoint_bytes));
  document.emplace_back("bytes_read", number(report.bytes_read));
  document.emplace_back("findings", to_json(report.findings));
  return document;
}

}  // namespace ferrule::cli
