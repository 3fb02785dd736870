// SPDX-License-Identifier: Apache-2.0
#include "ferrule/verify.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "adapter/card.hpp"
#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/content_id.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/text.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/walk.hpp"
#include "peft/strength.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// What was found in one adapter or file.
struct Verified {
  fs::path path;
  std::vector<Finding> findings;
  std::optional<Error> system_error;

  bool good() const noexcept { return !system_error && !has_error(findings); }

  void take(const Error& error) {
    if (is_system_failure(error)) {
      system_error = error;
    } else {
      findings.push_back(to_finding(error));
    }
  }
};

void verify_card(const fs::path& directory, const ReadLimits& limits, Verified& verified) {
  const auto reader = io::DirectoryReader::open(directory);
  if (!reader) return;
  auto file = reader->open_file(kCardFile);
  const auto path = (directory / kCardFile).string();
  if (!file || !*file) return;  // A card is optional.
  const auto text = (*file)->read_text(limits.text_bytes);
  if (!text) {
    verified.findings.push_back({.severity = Severity::kWarning,
                                 .rule = "MC-1",
                                 .path = path,
                                 .key = {},
                                 .message = text.error().message,
                                 .advice = {}});
    return;
  }
  auto findings = adapter::check_card(*text, path);
  std::move(findings.begin(), findings.end(), std::back_inserter(verified.findings));
}

/// AD-20 and AD-21 as errors: a save only warns about them, because training may go on.
void verify_values(const Adapter& adapter, Verified& verified) {
  for (auto& finding : examine_values(adapter.config(), AdapterAccess::of(adapter))) {
    if (finding.rule == "AD-20" || finding.rule == "AD-21") finding.severity = Severity::kError;
    finding.path = adapter.weights_file().string();
    verified.findings.push_back(std::move(finding));
  }
}

Finding other_id(const fs::path& path, std::string found) {
  return {.severity = Severity::kError,
          .rule = "AD-30",
          .path = path.string(),
          .key = {},
          .message = std::move(found),
          .advice = "it is not the adapter that was pinned; get it again from its source"};
}

/// AD-30, of an adapter without errors.
void verify_id(const Adapter& adapter, const VerifyOptions& options, Verified& verified) {
  if (options.id.empty() || !verified.good()) return;
  const auto id = content_id(adapter, {.threads = options.threads});
  if (id == options.id) return;
  verified.findings.push_back(
      other_id(adapter.directory(), "the content id is " + id + ", expected " + options.id));
}

Verified verify_adapter(const fs::path& directory, const VerifyOptions& options) {
  Verified verified{.path = directory, .findings = {}, .system_error = {}};
  const auto adapter = AdapterAccess::open(directory, options.open);
  if (!adapter) {
    verified.take(adapter.error());
    return verified;
  }
  verified.findings.assign(adapter->findings().begin(), adapter->findings().end());
  if (options.values) verify_values(*adapter, verified);
  verify_id(*adapter, options, verified);
  verify_card(directory, options.open.limits, verified);
  return verified;
}

Verified verify_file(const fs::path& path, const VerifyOptions& options) {
  Verified verified{.path = path, .findings = {}, .system_error = {}};
  if (!options.id.empty()) {
    verified.findings.push_back(other_id(path,
                                         "expected the directory of an adapter with the "
                                         "content id " +
                                             options.id + ", found a file"));
    return verified;
  }
  if (path.filename() != kConfigFile) {
    if (const auto file = Checkpoint::open(path, options.open); !file) verified.take(file.error());
    return verified;
  }
  const auto config = AdapterConfig::open(path);
  if (!config) {
    verified.take(config.error());
    return verified;
  }
  verified.findings = config->findings();
  for (auto& finding : peft::pattern_findings(*config)) {
    finding.path = path.string();
    verified.findings.push_back(std::move(finding));
  }
  return verified;
}

/// AD-16 as a note: where the only adapter of a folder is.
Finding elsewhere(const fs::path& folder, const fs::path& adapter) {
  return {.severity = Severity::kNote,
          .rule = "AD-16",
          .path = folder.string(),
          .key = {},
          .message = "this folder is not an adapter itself; the adapter is in " +
                     quote(adapter.lexically_relative(folder).string()),
          .advice = {}};
}

/// The adapter in `folder` and those below it, in the order of their paths.
std::vector<Verified> verify_folder(const fs::path& folder, const VerifyOptions& options,
                                    VerifyReport& report) {
  std::vector<Verified> all;
  std::mutex mutex;
  const auto visit = [&](const fs::path& directory, const io::Listing& listing) {
    if (!adapter::holds_adapter(listing.files)) return;
    auto verified = verify_adapter(directory, options);
    const std::lock_guard lock(mutex);
    all.push_back(std::move(verified));
    constexpr std::size_t kSometimes = 64;
    if (options.progress && all.size() % kSometimes == 0) options.progress(all.size());
  };
  auto walked = io::walk_directories(folder, visit, {.threads = options.threads});
  if (walked) {
    report.unreadable = std::move(walked->unreadable);
  } else {
    report.unreadable = {std::move(walked).error()};
  }
  std::sort(all.begin(), all.end(),
            [](const Verified& a, const Verified& b) { return a.path.native() < b.path.native(); });
  if (all.empty() && walked) all.push_back(verify_adapter(folder, options));
  if (all.size() == 1 && all[0].path != folder) {
    report.findings.push_back(elsewhere(folder, all[0].path));
  }
  return all;
}

}  // namespace

VerifyReport verify(const fs::path& path, const VerifyOptions& options) {
  VerifyReport report;
  std::vector<Verified> all;
  if (const auto kind = path_kind(path); kind && *kind != PathKind::kFile) {
    all = verify_folder(path, options, report);
  } else {
    all.push_back(verify_file(path, options));
  }
  report.verified = all.size();
  for (auto& verified : all) {
    if (!verified.good()) ++report.bad;
    if (verified.system_error) report.unreadable.push_back(*std::move(verified.system_error));
    std::move(verified.findings.begin(), verified.findings.end(),
              std::back_inserter(report.findings));
  }
  std::stable_sort(report.unreadable.begin(), report.unreadable.end(),
                   [](const Error& a, const Error& b) { return a.path < b.path; });
  if (!report.unreadable.empty()) report.system_error = report.unreadable.front();
  sort_by_severity(report.findings);
  return report;
}

}  // namespace ferrule
