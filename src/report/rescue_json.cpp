// SPDX-License-Identifier: Apache-2.0
#include "ferrule/rescue_json.hpp"

#include <utility>

#include "ferrule/report_json.hpp"

namespace ferrule {

Json::Object to_json(const RescueReport& report, const std::filesystem::path& output) {
  return {{"output", output.string()},
          {"kind", report.kind},
          {"source", report.source.string()},
          {"step", report.step ? Json(*report.step) : Json()},
          {"world_size", report.world_size ? Json(*report.world_size) : Json()},
          {"adapter", report.adapter},
          {"peft_type", report.peft_type},
          {"tensors", report.tensors},
          {"parameters", report.parameters},
          {"file_bytes", report.file_bytes},
          {"files_read", report.files},
          {"checkpoint_bytes", report.checkpoint_bytes},
          {"bytes_read", report.bytes_read},
          {"findings", to_json(report.findings)}};
}

Json::Object to_json(const PublishReport& report) {
  Json::Array removed;
  for (const auto generation : report.removed) removed.emplace_back(generation);
  return {{"generation", report.generation}, {"directory", report.directory.string()},
          {"files", report.files},           {"bytes", report.bytes},
          {"shared", report.shared},         {"removed", std::move(removed)}};
}

Json::Object to_json(const SaveShardReport& report) {
  return {{"file", report.file.string()},
          {"tensors", report.tensors},
          {"file_bytes", report.file_bytes}};
}

}  // namespace ferrule
