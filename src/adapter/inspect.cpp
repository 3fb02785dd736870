// SPDX-License-Identifier: Apache-2.0
#include "ferrule/inspect.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/open_adapter.hpp"
#include "base/try.hpp"
#include "io/walk.hpp"

namespace ferrule {
void TensorTotals::add(const TensorView& tensor) {
  ++tensors;
  parameters += tensor.element_count();
  bytes += tensor.bytes().size();
  ++dtypes[tensor.dtype()];
}

void TensorTotals::add(const TensorTotals& other) {
  tensors += other.tensors;
  parameters += other.parameters;
  bytes += other.bytes;
  for (const auto& [dtype, count] : other.dtypes) dtypes[dtype] += count;
}

AdapterSummary inspect_adapter(const std::filesystem::path& directory, const OpenOptions& options) {
  AdapterSummary summary;
  summary.directory = directory;
  const auto adapter = AdapterAccess::open(directory, options);
  if (!adapter) {
    if (is_system_failure(adapter.error())) {
      summary.system_error = adapter.error();
    } else {
      summary.findings.push_back(to_finding(adapter.error()));
    }
    return summary;
  }
  const auto& config = adapter->config();
  summary.peft_type = config.peft_type();
  summary.task_type = config.task_type();
  summary.base_model = config.base_model_name_or_path();
  summary.rank = config.rank();
  summary.alpha = config.alpha();
  summary.weights_file = adapter->weights_file().filename().string();
  summary.file_bytes = adapter->file_bytes();
  for (const auto& tensor : adapter->tensors()) summary.totals.add(tensor.tensor);
  summary.findings.assign(adapter->findings().begin(), adapter->findings().end());
  return summary;
}

std::uint64_t FolderSummary::bad() const noexcept {
  return static_cast<std::uint64_t>(
      std::count_if(adapters.begin(), adapters.end(),
                    [](const AdapterSummary& adapter) { return !adapter.good(); }));
}

TensorTotals FolderSummary::totals() const {
  TensorTotals totals;
  for (const auto& adapter : adapters) totals.add(adapter.totals);
  return totals;
}

std::uint64_t FolderSummary::file_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& adapter : adapters) bytes += adapter.file_bytes;
  return bytes;
}

Result<FolderSummary> inspect_folder(const std::filesystem::path& folder,
                                     const FolderOptions& options) {
  FolderSummary summary;
  std::mutex mutex;
  FERRULE_TRY(auto walked,
              io::walk_directories(
                  folder, options.threads, [&](const auto& directory, const auto& listing) {
                    if (!adapter::holds_adapter(listing.files)) return;
                    auto adapter = inspect_adapter(directory, options.open);
                    const std::lock_guard lock(mutex);
                    summary.adapters.push_back(std::move(adapter));
                    constexpr std::size_t kSometimes = 64;
                    if (options.progress && summary.adapters.size() % kSometimes == 0) {
                      options.progress(summary.adapters.size());
                    }
                  }));
  summary.directories = walked.directories;
  summary.unreadable = std::move(walked.unreadable);
  std::sort(summary.adapters.begin(), summary.adapters.end(),
            [](const AdapterSummary& a, const AdapterSummary& b) {
              return a.directory.native() < b.directory.native();
            });
  return summary;
}

Result<PathKind> path_kind(const std::filesystem::path& path) {
  const auto listing = io::list_by_kind(path);
  if (listing)
    return adapter::holds_adapter(listing->files) ? PathKind::kAdapter : PathKind::kFolder;
  if (listing.error().system_errno == ENOTDIR) return PathKind::kFile;
  return listing.error();
}

}  // namespace ferrule
