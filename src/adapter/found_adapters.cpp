// SPDX-License-Identifier: Apache-2.0
#include "adapter/found_adapters.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/parallel.hpp"
#include "ferrule/call_control.hpp"

namespace ferrule::adapter {
namespace {

// A thread makes so many summaries at a time.
constexpr std::size_t kShare = 256;

/// What one summary is made of.
struct Made {
  std::string_view below;  ///< Its path, without that of the folder and a slash.
  const SummaryTemplate* shared = nullptr;
  std::optional<std::string_view> base_model;
  AdapterSummary* own = nullptr;
};

}  // namespace

void FoundAdapters::add(const std::filesystem::path& directory, ReadSummary read) {
  add({directory.native(), std::move(read)});
}

void FoundAdapters::add(AdapterSummary summary) {
  Found found{summary.directory.native(), {}};
  found.read.own = std::make_unique<AdapterSummary>(std::move(summary));
  add(std::move(found));
}

void FoundAdapters::add(Found found) {
  {
    const std::lock_guard lock(mutex_);
    found_.push_back(std::move(found));
  }
  count(1);
}

void FoundAdapters::count(std::size_t adapters) {
  if (adapters == 0) return;
  constexpr std::uint64_t kSometimes = 64;
  const std::lock_guard lock(mutex_);
  const auto before = std::exchange(counted_, counted_ + adapters);
  if (progress_ && before / kSometimes != counted_ / kSometimes) progress_(counted_);
}

std::string_view FoundAdapters::below(std::string_view path) const {
  path.remove_prefix(std::min(folder_.size(), path.size()));
  if (path.starts_with('/')) path.remove_prefix(1);
  return path;
}

std::vector<AdapterSummary> FoundAdapters::take(const FolderMemo& memo, unsigned threads) {
  std::vector<Made> order;
  const auto unchanged = memo.unchanged();
  order.reserve(unchanged.size() + found_.size());
  for (const auto* known : unchanged) {
    order.push_back({known->path, known->summary, known->base_model, nullptr});
  }
  for (auto& [path, read] : found_) {
    order.push_back({below(path), read.shared, read.base_model, read.own.get()});
  }
  const auto by_path = [](const Made& a, const Made& b) { return a.below < b.below; };
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(unchanged.size());
  std::sort(middle, order.end(), by_path);
  std::inplace_merge(order.begin(), middle, order.end(), by_path);

  auto prefix = folder_;
  if (!prefix.ends_with('/')) prefix += '/';
  std::vector<AdapterSummary> summaries(order.size());
  const auto make = [&](std::size_t i) {
    const auto& made = order[i];
    if (made.own != nullptr) {
      summaries[i] = std::move(*made.own);
    } else {
      auto path = made.below.empty() ? folder_ : prefix + std::string(made.below);
      summaries[i] = made.shared->in(std::move(path), made.base_model);
    }
  };
  // No steps of the call: adapters are, which were told.
  const CallControl::Scope untold(nullptr);
  base::parallel_for((order.size() + kShare - 1) / kShare, threads, [&](std::size_t share) {
    const auto end = std::min(order.size(), (share + 1) * kShare);
    for (auto i = share * kShare; i < end; ++i) make(i);
  });
  return summaries;
}

}  // namespace ferrule::adapter
