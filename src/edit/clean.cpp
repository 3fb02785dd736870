// SPDX-License-Identifier: Apache-2.0
#include "ferrule/clean.hpp"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include "io/transaction/staging.hpp"
#include "io/transaction/sweep.hpp"
#include "io/walk.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

void take(CleanReport& report, const fs::path& directory, const std::string& name) {
  const auto swept = io::sweep(directory, name);
  if (!swept) {
    report.errors.push_back(swept.error());
    return;
  }
  switch (*swept) {
    case io::Swept::kRemoved:
      report.removed.push_back(directory / name);
      break;
    case io::Swept::kInUse:
      report.in_use.push_back(directory / name);
      break;
    case io::Swept::kKept:
      report.kept.push_back(directory / name);
      break;
    case io::Swept::kGone:
      break;
  }
}

/// The name without a trailing slash or dot.
fs::path named(const fs::path& folder) {
  auto path = fs::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path;
}

}  // namespace

Result<CleanReport> clean(const fs::path& folder) {
  CleanReport report;
  const auto path = named(folder);
  const auto parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (const auto& stage : io::stages_of(path)) take(report, parent, stage);

  std::vector<std::pair<fs::path, std::string>> found;
  std::mutex mutex;
  const auto visit = [&](const fs::path& directory, const io::Listing& listing) {
    const std::lock_guard lock(mutex);
    for (const auto& name : listing.ours) found.emplace_back(directory, name);
  };
  auto walked = io::walk_directories(folder, visit);
  if (!walked) {
    const bool was_staged = !report.removed.empty() || !report.in_use.empty();
    if (was_staged) return report;
    return std::move(walked).error();
  }
  std::sort(found.begin(), found.end());
  for (const auto& [directory, name] : found) take(report, directory, name);
  std::move(walked->unreadable.begin(), walked->unreadable.end(),
            std::back_inserter(report.errors));
  return report;
}

}  // namespace ferrule
