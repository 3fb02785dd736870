// SPDX-License-Identifier: Apache-2.0
#include "rescue/writing.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "adapter/rewrite.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "io/kind_at.hpp"
#include "rescue/selecting.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

/// A config, and its text to the byte.
struct ReadConfig {
  AdapterConfig config;
  std::string text;
};

Result<ReadConfig> read_config(const fs::path& given) {
  fs::path path = given;
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kFolder) path /= kConfigFile;
  FERRULE_TRY(auto text, read_text_file(path));
  auto config = AdapterConfig::parse(text, path);
  if (!config) {
    auto error = std::move(config).error();
    if (error.path.empty()) error.path = path.string();
    return error;
  }
  return ReadConfig{*std::move(config), std::move(text)};
}

/// RS-12: the config that a checkpoint holds, next to the weights or above them, but not above the
/// checkpoint itself.
Result<ReadConfig> find_config(const fs::path& checkpoint, const fs::path& source) {
  std::vector<fs::path> places = {source};
  for (auto place = source; place != checkpoint && place.has_parent_path();) {
    const auto parent = place.parent_path();
    if (parent == place) break;
    place = parent;
    places.push_back(place);
  }
  if (places.back() != checkpoint) places = {source, source.parent_path()};
  for (const auto& place : places) {
    FERRULE_TRY(const auto kind, io::kind_at(place / kConfigFile));
    if (kind == io::EntryKind::kFile) return read_config(place / kConfigFile);
  }
  return base::at(base::corrupt("RS-12",
                                "the checkpoint does not hold an adapter_config.json: "
                                "give the adapter's with --config"),
                  checkpoint.string());
}

/// What can be written of one step.
struct Ready {
  std::shared_ptr<Sources> sources;
  std::shared_ptr<Found> found;
  Chosen chosen;
  std::string config_text;
};

Result<Ready> prepare(const Step& step, const WriteRequest& request,
                      const std::optional<ReadConfig>& given) {
  auto sources = std::make_shared<Sources>();
  FERRULE_TRY(auto found_here, step.find(sources));
  auto found = std::make_shared<Found>(std::move(found_here));
  std::optional<ReadConfig> config = given;
  if (!config) {
    FERRULE_TRY(config, find_config(request.checkpoint, step.path));
  }
  auto chosen = choose(sources, found, config->config, request.adapter);
  if (!chosen) {
    auto error = std::move(chosen).error();
    if (error.path.empty()) error.path = step.path.string();
    return error;
  }
  // Selection changes the config of few methods (AdaLoRA's ranks): its text stays for all others.
  const bool changed = chosen->config.to_json() != config->config.to_json();
  auto text = changed ? chosen->config.to_json() : std::move(config->text);
  return Ready{std::move(sources), std::move(found), *std::move(chosen), std::move(text)};
}

class Writer final : public adapter::Rewriter {
 public:
  explicit Writer(const Ready& ready) : ready_(ready) {}
  Result<std::vector<adapter::FolderRewrite>> make() override {
    std::vector<adapter::FolderRewrite> folders;
    folders.push_back(adapter::safetensors_folder(ready_.chosen.tensors, ready_.config_text));
    return folders;
  }

 private:
  const Ready& ready_;
};

Result<RescueReport> write(const Step& step, Ready ready, const WriteRequest& request) {
  RescueReport report{.kind = ready.found->kind,
                      .source = step.path,
                      .step = ready.found->step ? ready.found->step : step.number,
                      .world_size = ready.found->world_size,
                      .adapter = ready.chosen.name,
                      .peft_type = ready.chosen.config.peft_type()};
  report.tensors = ready.chosen.tensors.size();
  for (const auto& tensor : ready.chosen.tensors) {
    report.parameters += element_count(tensor.shape).value_or(0);
  }
  Writer writer(ready);
  FERRULE_TRY(
      const auto done,
      adapter::rewrite(request.output,
                       {.source = {}, .durability = request.durability, .digests = false}, writer));
  report.file_bytes = done.folders.empty() ? 0 : done.folders.front().weights_bytes;
  report.files = ready.sources->count();
  report.checkpoint_bytes = ready.sources->total_bytes();
  report.bytes_read = ready.sources->bytes_read();
  report.findings = std::move(ready.found->findings);
  std::move(ready.chosen.findings.begin(), ready.chosen.findings.end(),
            std::back_inserter(report.findings));
  return report;
}

/// True for a failure that another step would not fix: the request or the machine is at fault.
bool is_final(const Error& error) {
  return error.system_errno != 0 || error.code == ErrorCode::kInvalidArgument ||
         error.rule == "RS-11" || error.rule.starts_with("CF-");
}

}  // namespace

Result<RescueReport> write_adapter(const Steps& steps, const WriteRequest& request) {
  std::optional<ReadConfig> config;
  if (!request.config.empty()) {
    FERRULE_TRY(config, read_config(request.config));
  }
  std::vector<Finding> findings = steps.findings;
  std::optional<Error> first;
  for (const auto& step : steps.steps) {
    auto ready = prepare(step, request, config);
    auto report = ready ? write(step, *std::move(ready), request)
                        : Result<RescueReport>(std::move(ready).error());
    if (report) {
      findings.insert(findings.end(), report->findings.begin(), report->findings.end());
      report->findings = std::move(findings);
      return report;
    }
    if (!first) first = report.error();
    if (is_final(report.error())) return std::move(report).error();
    findings.push_back(
        {.severity = Severity::kWarning,
         .rule = "RS-18",
         .path = step.path.string(),
         .key = {},
         .message = "this step is not complete, and was passed over: " + report.error().to_string(),
         .advice = {}});
  }
  auto error = *std::move(first);
  if (steps.steps.size() > 1) {
    error.message += " (none of the " + std::to_string(steps.steps.size()) +
                     " steps that are there is complete)";
  }
  return error;
}

}  // namespace ferrule::rescues
