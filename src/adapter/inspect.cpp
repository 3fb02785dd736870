// SPDX-License-Identifier: Apache-2.0
#include "ferrule/inspect.hpp"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "adapter/examine.hpp"
#include "adapter/folder_memo.hpp"
#include "adapter/found_adapters.hpp"
#include "adapter/known_headers.hpp"
#include "adapter/open_adapter.hpp"
#include "adapter/summarize.hpp"
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

AdapterSummary adapter::summarize(const Adapter& adapter, const std::filesystem::path& directory) {
  AdapterSummary summary;
  summary.directory = directory;
  const auto& config = adapter.config();
  summary.peft_type = config.peft_type();
  summary.task_type = config.task_type();
  summary.base_model = config.base_model_name_or_path();
  summary.rank = config.rank();
  summary.alpha = config.alpha();
  summary.weights_file = adapter.weights_file().filename().string();
  summary.file_bytes = adapter.file_bytes();
  for (const auto& tensor : adapter.tensors()) summary.totals.add(tensor.tensor);
  summary.findings.assign(adapter.findings().begin(), adapter.findings().end());
  return summary;
}

AdapterSummary inspect_adapter(const std::filesystem::path& directory, const OpenOptions& options) {
  const auto adapter = AdapterAccess::open(directory, options);
  if (adapter) return adapter::summarize(*adapter, directory);
  AdapterSummary summary;
  summary.directory = directory;
  if (is_system_failure(adapter.error())) {
    summary.system_error = adapter.error();
  } else {
    summary.findings.push_back(to_finding(adapter.error()));
  }
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

namespace {

/// What is found in a folder, by several threads.
class FolderList {
 public:
  FolderList(const std::filesystem::path& folder, const FolderOptions& options)
      : options_(options),
        headers_(options.open),
        memo_(options.memo, folder, options.open.limits, options.threads),
        found_(folder, options.progress) {}

  Result<FolderSummary> list(const std::filesystem::path& folder) {
    io::WalkOptions walk{.threads = options_.threads, .stages = io::Stages::kSkip, .known = {}};
    if (memo_.is_on()) {
      walk.known = [&](const io::Unlisted& directories,
                       std::span<std::optional<io::FileIdentity>> known) {
        memo_.find(directories, known);
        found_.count(known.size() - static_cast<std::size_t>(
                                        std::count(known.begin(), known.end(), std::nullopt)));
      };
    }
    FERRULE_TRY(
        auto walked,
        io::walk_directories(
            folder, [&](const auto& directory, const auto& listing) { visit(directory, listing); },
            walk));
    FolderSummary summary;
    summary.directories = walked.directories;
    summary.unreadable = std::move(walked.unreadable);
    summary.adapters = found_.take(memo_, options_.threads);
    FERRULE_CHECK(memo_.save());
    return summary;
  }

 private:
  void visit(const std::filesystem::path& directory, const io::Listing& listing) {
    if (!adapter::holds_adapter(listing.files)) return;
    if (auto read = headers_.read(directory, listing)) {
      if (memo_.is_on()) memo_.note(directory, listing, *read);
      found_.add(directory, *std::move(read));
    } else {
      found_.add(inspect_adapter(directory, options_.open));
    }
  }

  const FolderOptions& options_;
  adapter::KnownHeaders headers_;
  adapter::FolderMemo memo_;
  adapter::FoundAdapters found_;
};

}  // namespace

Result<FolderSummary> inspect_folder(const std::filesystem::path& folder,
                                     const FolderOptions& options) {
  return FolderList(folder, options).list(folder);
}

Result<PathKind> path_kind(const std::filesystem::path& path) {
  const auto listing = io::list_by_kind(path);
  if (listing)
    return adapter::holds_adapter(listing->files) ? PathKind::kAdapter : PathKind::kFolder;
  if (listing.error().system_errno == ENOTDIR) return PathKind::kFile;
  return listing.error();
}

}  // namespace ferrule
