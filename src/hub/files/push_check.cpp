// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_check.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "ferrule/verify.hpp"
#include "format/card/front_matter.hpp"
#include "format/card/hub_id.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

Error first_error(const VerifyReport& report) {
  if (report.system_error) return *report.system_error;
  const auto is_error = [](const Finding& finding) { return finding.severity == Severity::kError; };
  const auto first = std::find_if(report.findings.begin(), report.findings.end(), is_error);
  const auto count = std::count_if(report.findings.begin(), report.findings.end(), is_error);
  auto message = first->message + "; nothing was sent";
  if (count > 1) message += " (" + std::to_string(count - 1) + " more: run verify)";
  return base::at(base::corrupt(first->rule, std::move(message)), first->path);
}

Result<void> check_card(const std::filesystem::path& directory) {
  const auto path = directory / kCardFile;
  const auto text = read_text_file(path, format::kMaxCardBytes);
  if (!text) return {};  // None, or a size that the Hub checks.
  const auto parts = format::split_card(*text);
  if (!parts.has_front_matter) return {};
  const auto block = format::parse_yaml_block(parts.yaml);
  if (block) {
    const auto* base = block->find("base_model");
    const bool names_a_path = base != nullptr && base->kind == format::YamlEntry::Kind::kString &&
                              !base->text.empty() && !format::is_hub_id(base->text);
    if (!names_a_path) return {};
    return fail(Failure::kCard,
                "the card's base_model is " + quote(base->text) +
                    ", which is not an id on the Hub, and the Hub would refuse it",
                path.string());
  }
  return fail(Failure::kCard,
              "the card's front matter cannot be read, and the Hub would refuse it: " +
                  block.error().message,
              path.string());
}

}  // namespace

Result<void> verify_for_push(const std::filesystem::path& directory, const PushOptions& options) {
  FERRULE_TRY(const auto kind, path_kind(directory));
  if (kind == PathKind::kFile) {
    return base::at(base::corrupt("AD-15", "expected the directory of an adapter, found a file"),
                    directory);
  }
  const auto report = verify(directory, options.open);
  if (!report.good()) return first_error(report);
  FERRULE_CHECK(check_card(directory));
  if (options.watcher.warning) {
    for (const auto& finding : report.findings) {
      if (finding.severity == Severity::kWarning) {
        options.watcher.warning(finding.path + ": [" + finding.rule + "] " + finding.message);
      }
    }
  }
  return {};
}

}  // namespace ferrule::hub
