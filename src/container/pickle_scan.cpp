// SPDX-License-Identifier: Apache-2.0
#include "ferrule/pickle_scan.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/try.hpp"
#include "container/container.hpp"
#include "format/pickle/scan_content.hpp"
#include "io/input_file.hpp"
#include "io/kind_at.hpp"
#include "io/mapping.hpp"
#include "io/walk.hpp"

namespace ferrule {
namespace {

ScanSeverity severity_of(format::GlobalThreat threat) {
  switch (threat) {
    case format::GlobalThreat::kDangerous:
      return ScanSeverity::kDangerous;
    case format::GlobalThreat::kTrainingState:
      return ScanSeverity::kTrainingState;
    case format::GlobalThreat::kUnknown:
      break;
  }
  return ScanSeverity::kUnknown;
}

void take_content(ScannedFile& result, format::ContentScan content) {
  result.pickles = content.pickles;
  result.examined = content.examined;
  for (auto& hit : content.hits) {
    result.hits.push_back({.entry = std::move(hit.entry),
                           .offset = hit.offset,
                           .opcode = std::move(hit.opcode),
                           .global = std::move(hit.global),
                           .why = std::move(hit.why),
                           .severity = severity_of(hit.threat)});
  }
  for (auto& gap : content.gaps) {
    result.gaps.push_back({.entry = std::move(gap.entry),
                           .rule = std::move(gap.rule),
                           .message = std::move(gap.message)});
  }
}

Result<void> scan_into(ScannedFile& result, const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(result.path));
  FERRULE_TRY(result.kind, container::kind_of(file));
  FERRULE_TRY(const auto mapping, io::Mapping::of(file, options.backing, options.threads));
  take_content(result, format::scan_content(mapping.bytes(), options.limits));
  return {};
}

}  // namespace

std::string_view scan_severity_name(ScanSeverity severity) noexcept {
  switch (severity) {
    case ScanSeverity::kTrainingState:
      return "training_state";
    case ScanSeverity::kUnknown:
      return "unknown";
    case ScanSeverity::kDangerous:
      break;
  }
  return "dangerous";
}

std::optional<ScanSeverity> ScannedFile::severity() const noexcept {
  std::optional<ScanSeverity> worst;
  if (!gaps.empty()) worst = ScanSeverity::kUnknown;
  for (const auto& hit : hits) worst = worst ? std::max(*worst, hit.severity) : hit.severity;
  return worst;
}

ScannedFile scan_bytes(std::span<const std::byte> bytes, const std::filesystem::path& name,
                       const OpenOptions& options) {
  ScannedFile result;
  result.path = name;
  result.kind = recognize(bytes.first(std::min<std::size_t>(bytes.size(), 4096)), bytes.size());
  take_content(result, format::scan_content(bytes, options.limits));
  return result;
}

ScannedFile scan_file(const std::filesystem::path& path, const OpenOptions& options) {
  ScannedFile result;
  result.path = path;
  if (auto scanned = scan_into(result, options); !scanned) {
    auto error = std::move(scanned).error();
    if (is_system_failure(error)) {
      result.system_error = std::move(error);
    } else {
      result.gaps.push_back({.entry = {}, .rule = error.rule, .message = error.message});
    }
  }
  return result;
}

Result<std::vector<ScannedFile>> scan(const std::filesystem::path& path,
                                      const OpenOptions& options) {
  std::vector<ScannedFile> results;
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind != io::EntryKind::kFolder) {
    results.push_back(scan_file(path, options));
    return results;
  }
  std::vector<std::filesystem::path> files;
  std::mutex mutex;
  const auto visit = [&](const std::filesystem::path& directory, const io::Listing& listing) {
    const std::lock_guard lock(mutex);
    for (const auto& name : listing.files) files.push_back(directory / name);
  };
  FERRULE_TRY(auto walk,
              io::walk_directories(
                  path, visit, {.threads = options.threads, .stages = io::Stages::kSkipLocked}));
  std::sort(files.begin(), files.end());
  for (const auto& file : files) results.push_back(scan_file(file, options));
  for (auto& error : walk.unreadable) {
    ScannedFile unread;
    unread.path = error.path;
    unread.system_error = std::move(error);
    results.push_back(std::move(unread));
  }
  return results;
}

}  // namespace ferrule
