// SPDX-License-Identifier: Apache-2.0
// 1. The adapter is opened and verified: what PEFT would not load is not published.
// 2. Publishers into one root wait for each other (the lock of a save that is never made).
// 3. The files are copied into a hidden folder that gets the next number in one step (TX-1).
// 4. `current` is replaced by a link to it, in one step.
// 5. The mapped number changes: readers that hold it see that there is a newer one.
//
// Tensors in memory are written there instead, without a copy of them: 1 and 3 change.
//
// A crash between 3 and 4 leaves a generation that no reader was told of; the next one is numbered
// on.
#include "ferrule/publish.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "adapter/adapter_folders.hpp"
#include "adapter/carry_files.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/adapter.hpp"
#include "io/folder.hpp"
#include "io/remove_tree.hpp"
#include "io/shared_number.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/walk.hpp"
#include "publish/generations.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModelFile = "model.safetensors";

Result<std::vector<std::uint64_t>> generations_in(const fs::path& root) {
  FERRULE_TRY(const auto listing, io::list_by_kind(root));
  std::vector<std::uint64_t> found;
  for (const auto& name : listing.directories) {
    if (const auto number = publishing::generation_of(name)) found.push_back(*number);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Fills the folder of a generation.
using Fill = std::function<Result<void>(io::DirectoryTransaction&, PublishReport&)>;

class Publisher {
 public:
  Publisher(const fs::path& root, const PublishOptions& options, Fill fill)
      : root_(root), options_(options), fill_(std::move(fill)) {}

  Result<PublishReport> publish() {
    io::MadeFolders made;
    FERRULE_TRY(const auto folder, io::Folder::make(root_, &made));
    FERRULE_TRY(const auto lock,
                io::DirectoryTransaction::begin(root_ / ".publishing", Durability::kFast));
    FERRULE_TRY(const auto before, generations_in(root_));
    report_.generation = before.empty() ? 1 : before.back() + 1;
    if (report_.generation > publishing::kMaxGeneration) {
      return base::at(base::over_limit("PB-2", "it has had 99999999 generations"), root_.string());
    }
    const auto name = publishing::folder_of(report_.generation);
    report_.directory = root_ / name;
    FERRULE_CHECK(write());
    FERRULE_TRY(auto number, io::SharedNumber::make(root_ / publishing::kNumber));
    FERRULE_CHECK(folder.link(publishing::kCurrent, name));
    number.store(report_.generation);
    FERRULE_CHECK(remove_old(folder, before));
    return std::move(report_);
  }

 private:
  Result<void> write() {
    FERRULE_TRY(auto transaction,
                io::DirectoryTransaction::begin(report_.directory, options_.durability));
    FERRULE_CHECK(fill_(transaction, report_));
    FERRULE_CHECK(transaction.commit());
    FERRULE_TRY(const auto copied, adapter::AdapterFolder::open(report_.directory));
    for (const auto& name : copied.files) {
      FERRULE_TRY(const auto file, copied.reader.open_file(name));
      if (file) report_.bytes += file->size();
    }
    return {};
  }

  /// PB-3: the oldest go first, and never the new one.
  Result<void> remove_old(const io::Folder& folder, const std::vector<std::uint64_t>& before) {
    if (options_.keep == 0 || before.size() + 1 <= options_.keep) return {};
    const auto surplus = before.size() + 1 - options_.keep;
    for (std::size_t i = 0; i < surplus && i < before.size(); ++i) {
      const auto name = publishing::folder_of(before[i]);
      FERRULE_CHECK(io::remove_tree(folder.fd(), name, root_ / name));
      report_.removed.push_back(before[i]);
    }
    return {};
  }

  const fs::path& root_;
  const PublishOptions& options_;
  Fill fill_;
  PublishReport report_;
};

Result<void> copy_adapter(const fs::path& from, io::DirectoryTransaction& transaction,
                          PublishReport& report) {
  FERRULE_TRY(const auto source, adapter::AdapterFolder::open(from));
  FERRULE_TRY(const auto files,
              adapter::carry_files(source.reader, source.files, {}, "", transaction));
  FERRULE_TRY(const auto others, adapter::carry_folders(from, {}, "", transaction));
  report.files = files.size() + others.size();
  return {};
}

/// What makes two tensors one: memory, dtype and shape.
auto identity_of(const TensorView& tensor) {
  return std::tuple(tensor.bytes().data(), tensor.bytes().size(), tensor.dtype());
}

bool is_same(const TensorView& a, const TensorView& b) {
  return identity_of(a) == identity_of(b) &&
         std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end());
}

/// The tensors to write; names of the same memory go into the metadata.
container::TensorPlan without_shared(std::span<const NamedTensor> tensors, Metadata& metadata) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(identity_of(tensors[a].tensor), tensors[a].name) <
           std::pair(identity_of(tensors[b].tensor), tensors[b].name);
  });
  std::set<std::string, std::less<>> keys;
  for (const auto& [key, value] : metadata) keys.insert(key);
  container::TensorPlan plan;
  plan.reserve(tensors.size());
  const NamedTensor* kept = nullptr;
  for (const auto at : order) {
    const auto& one = tensors[at];
    const bool is_shared = kept != nullptr && !one.tensor.bytes().empty() &&
                           is_same(kept->tensor, one.tensor) && one.name != kept->name;
    // A name that the metadata has already means something else there.
    if (is_shared && keys.insert(std::string(one.name)).second) {
      metadata.emplace_back(one.name, kept->name);
      continue;
    }
    if (!is_shared) kept = &one;
    plan.push_back(container::stream_of(one.name, one.tensor));
  }
  return plan;
}

}  // namespace

Result<PublishReport> publish(const fs::path& adapter, const fs::path& root,
                              const PublishOptions& options) {
  FERRULE_CHECK(Adapter::open(adapter));  // PB-1
  const auto fill = [&](io::DirectoryTransaction& transaction, PublishReport& report) {
    return copy_adapter(adapter, transaction, report);
  };
  return Publisher(root, options, fill).publish();
}

Result<PublishReport> publish_tensors(std::span<const NamedTensor> tensors, const fs::path& root,
                                      const Metadata& metadata, const PublishOptions& options) {
  const auto fill = [&](io::DirectoryTransaction& transaction,
                        PublishReport& report) -> Result<void> {
    auto all = metadata;
    const auto plan = without_shared(tensors, all);
    report.shared = all.size() - metadata.size();
    report.files = 1;
    FERRULE_TRY(auto* file, transaction.create(kModelFile));
    return container::write_safetensors(*file, plan, all, {.durability = options.durability});
  };
  return Publisher(root, options, fill).publish();
}

}  // namespace ferrule
