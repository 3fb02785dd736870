// SPDX-License-Identifier: Apache-2.0
#include "ferrule/verify.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "adapter/card.hpp"
#include "adapter/open_adapter.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/walk.hpp"
#include "peft/strength.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

// PEFT puts adapter `a/b` into DIR/a/b; deeper than this no save goes.
constexpr int kMaxAdapterDepth = 8;
constexpr std::size_t kMaxAdapters = 100'000;

void take_error(const Error& error, VerifyReport& report) {
  if (is_system_failure(error)) {
    if (!report.system_error) report.system_error = error;
    return;
  }
  report.findings.push_back(to_finding(error));
}

void verify_card(const fs::path& directory, const ReadLimits& limits, VerifyReport& report) {
  const auto reader = io::DirectoryReader::open(directory);
  if (!reader) return;
  auto file = reader->open_file(kCardFile);
  const auto path = (directory / kCardFile).string();
  if (!file || !*file) return;  // A card is optional, and a bad one never a refusal.
  const auto text = (*file)->read_text(limits.text_bytes);
  if (!text) {
    report.findings.push_back({.severity = Severity::kWarning,
                               .rule = "MC-1",
                               .path = path,
                               .key = {},
                               .message = text.error().message,
                               .advice = {}});
    return;
  }
  auto findings = adapter::check_card(*text, path);
  std::move(findings.begin(), findings.end(), std::back_inserter(report.findings));
}

void verify_adapter(const fs::path& directory, const OpenOptions& options, VerifyReport& report) {
  const auto adapter = Adapter::open(directory, options);
  if (!adapter) {
    take_error(adapter.error(), report);
  } else {
    report.findings.insert(report.findings.end(), adapter->findings().begin(),
                           adapter->findings().end());
    verify_card(directory, options.limits, report);
  }
}

/// Adapters below `directory` (not in it), as PEFT lays out named ones. Links are not followed.
void find_adapters(const fs::path& directory, int depth, std::vector<fs::path>& found) {
  if (depth > kMaxAdapterDepth || found.size() >= kMaxAdapters) return;
  auto listing = io::list_by_kind(directory);
  if (!listing) return;
  std::sort(listing->directories.begin(), listing->directories.end());
  for (const auto& name : listing->directories) {
    if (name.starts_with('.')) continue;
    const auto child = directory / name;
    const auto inner = io::list_by_kind(child);
    if (inner &&
        std::find(inner->files.begin(), inner->files.end(), kConfigFile) != inner->files.end()) {
      found.push_back(child);
    }
    find_adapters(child, depth + 1, found);
  }
}

void verify_directory(const fs::path& path, const OpenOptions& options, VerifyReport& report) {
  const auto reader = io::DirectoryReader::open(path);
  if (!reader) return take_error(reader.error(), report);
  const auto config = reader->open_file(kConfigFile);
  const auto weights = reader->open_file(kSafetensorsFile);
  const auto bin = reader->open_file(kBinFile);
  std::vector<fs::path> below;
  find_adapters(path, 1, below);
  const bool absent = config && !*config && weights && !*weights && bin && !*bin;
  if (!absent || below.empty()) verify_adapter(path, options, report);
  for (const auto& adapter : below) verify_adapter(adapter, options, report);
}

}  // namespace

VerifyReport verify(const fs::path& path, const OpenOptions& options) {
  VerifyReport report;
  const auto kind = io::kind_at(path);
  if (!kind) {
    take_error(kind.error(), report);
  } else if (*kind == io::EntryKind::kFolder) {
    verify_directory(path, options, report);
  } else if (path.filename() == kConfigFile) {
    const auto config = AdapterConfig::open(path);
    if (!config) {
      take_error(config.error(), report);
    } else {
      report.findings = config->findings();
      for (auto& finding : peft::pattern_findings(*config)) {
        finding.path = path.string();
        report.findings.push_back(std::move(finding));
      }
    }
  } else if (const auto file = Checkpoint::open(path, options); !file) {
    take_error(file.error(), report);
  }
  sort_by_severity(report.findings);
  return report;
}

}  // namespace ferrule
