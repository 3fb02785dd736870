// SPDX-License-Identifier: Apache-2.0
// 1. The adapter is opened and judged: what PEFT would not load is not published.
// 2. Publishers into one root wait for each other (the lock of a save that is never made).
// 3. The files are copied into a hidden folder that gets the next number in one step (TX-1).
// 4. `current` is replaced by a link to it, in one step.
// 5. The mapped number changes: readers that hold it see that there is a newer one.
//
// A crash between 3 and 4 leaves a generation that nobody was told of; the next one is numbered on.
#include "ferrule/publish.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "adapter/adapter_folders.hpp"
#include "adapter/carry_files.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
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

/// PB-1.
Result<void> judge(const fs::path& directory) {
  FERRULE_TRY(const auto adapter, Adapter::open(directory));
  static_cast<void>(adapter);
  return {};
}

Result<std::vector<std::uint64_t>> generations_in(const fs::path& root) {
  FERRULE_TRY(const auto listing, io::list_by_kind(root));
  std::vector<std::uint64_t> found;
  for (const auto& name : listing.directories) {
    if (const auto number = publishing::generation_of(name)) found.push_back(*number);
  }
  std::sort(found.begin(), found.end());
  return found;
}

class Publisher {
 public:
  Publisher(const fs::path& adapter, const fs::path& root, const PublishOptions& options)
      : adapter_(adapter), root_(root), options_(options) {}

  Result<PublishReport> publish() {
    FERRULE_CHECK(judge(adapter_));
    FERRULE_TRY(const auto folder, io::Folder::make(root_));
    FERRULE_TRY(const auto lock,
                io::DirectoryTransaction::begin(root_ / ".publishing", Durability::kFast));
    FERRULE_TRY(const auto before, generations_in(root_));
    report_.generation = before.empty() ? 1 : before.back() + 1;
    if (report_.generation > publishing::kMaxGeneration) {
      return base::at(base::over_limit("PB-2", "it has had 99999999 generations"), root_.string());
    }
    const auto name = publishing::folder_of(report_.generation);
    report_.directory = root_ / name;
    FERRULE_CHECK(copy());
    FERRULE_TRY(auto number, io::SharedNumber::make(root_ / publishing::kNumber));
    FERRULE_CHECK(folder.link(publishing::kCurrent, name));
    number.store(report_.generation);
    FERRULE_CHECK(remove_old(folder, before));
    return std::move(report_);
  }

 private:
  Result<void> copy() {
    FERRULE_TRY(auto transaction,
                io::DirectoryTransaction::begin(report_.directory, options_.durability));
    FERRULE_TRY(const auto source, adapter::AdapterFolder::open(adapter_));
    FERRULE_TRY(const auto files,
                adapter::carry_files(source.reader, source.files, {}, "", transaction));
    FERRULE_TRY(const auto others, adapter::carry_folders(adapter_, {}, "", transaction));
    report_.files = files.size() + others.size();
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

  const fs::path& adapter_;
  const fs::path& root_;
  const PublishOptions& options_;
  PublishReport report_;
};

}  // namespace

Result<PublishReport> publish(const fs::path& adapter, const fs::path& root,
                              const PublishOptions& options) {
  return Publisher(adapter, root, options).publish();
}

}  // namespace ferrule
