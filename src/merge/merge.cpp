// SPDX-License-Identifier: Apache-2.0
// A merge, step by step:
//
// 1. Open the adapters and the base, match them, decide what is done to each tensor. Whatever
//    cannot be merged is refused here, before anything is created.
// 2. Lock the output against other savers (io::DirectoryTransaction), and look whether it may be
//    written: it does not exist, is empty, or is the base in place.
// 3. Is there room for what will be written?
// 4. Complete the changed files one by one in a hidden folder beside the output
//    (io::WorkFolder): it is what a killed merge leaves, and --resume takes up.
// 5. Is the base still what it was?
// 6. Put the directory together: changed files moved, unchanged ones linked, small ones copied,
//    config and index written; and publish it with one rename.
#include "ferrule/merge.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "adapter/examine.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "io/digest.hpp"
#include "io/kind_at.hpp"
#include "io/transaction/directory_transaction.hpp"
#include "io/work_folder.hpp"
#include "merge/base_files.hpp"
#include "merge/content_sum.hpp"
#include "merge/live_tensors.hpp"
#include "merge/model_text.hpp"
#include "merge/other_files.hpp"
#include "merge/output_plan.hpp"
#include "merge/plan.hpp"
#include "merge/refusals.hpp"
#include "merge/shard_writer.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using merging::OutputPlan;

constexpr const char* kConfigJson = "config.json";
constexpr std::size_t kPiece = std::size_t{4} << 20;

class Merge {
 public:
  Merge(std::span<const MergeSource> sources, const fs::path& base, const fs::path& output,
        const MergeOptions& options, bool undo)
      : sources_(sources), base_path_(base), output_(output), options_(options), undo_(undo) {}

  Result<MergeReport> run() {
    FERRULE_CHECK(open());
    FERRULE_CHECK(check_output());
    FERRULE_TRY(auto transaction, io::DirectoryTransaction::begin(output_, options_.durability));
    FERRULE_CHECK(check_output());  // Another saver may have been there while we waited.
    FERRULE_CHECK(check_room());
    FERRULE_TRY(auto work,
                io::WorkFolder::open(output_, purpose(), options_.start == MergeStart::kResume,
                                     options_.durability));
    auto done = write_and_publish(transaction, work);
    // What a merge leaves that was told to stop is for the next one; an error is not.
    if (done || done.error().system_errno != EINTR) {
      auto removed = work.remove();
      if (done) FERRULE_CHECK(std::move(removed));
    }
    FERRULE_CHECK(std::move(done));
    return std::move(report_);
  }

 private:
  Result<void> open() {
    if (sources_.empty()) return base::invalid("expected one adapter or more, found none");
    FERRULE_TRY(report_.in_place, io::same_directory(base_path_, output_));
    for (const auto& source : sources_) {
      FERRULE_TRY(auto adapter, AdapterAccess::open(source.adapter, options_.open));
      adapters_.push_back(std::move(adapter));
    }
    FERRULE_CHECK(plan());
    FERRULE_TRY(out_, merging::plan_output(*files_, *plan_, model_->config(), options_.dtype));
    report_.modules = plan_->modules;
    report_.untied = plan_->unties;
    report_.findings = std::move(plan_->findings);
    report_.left_out = files_->left_out();
    return {};
  }

  /// Opens the base, its quantized weights seen as plain ones if there are any, and plans.
  Result<void> open_base(bool dequantized) {
    FERRULE_TRY(files_, merging::BaseFiles::open(base_path_, options_.open));
    if (dequantized) {
      FERRULE_TRY(model_, BaseModelAccess::open_dequantized(base_path_, options_.open));
      FERRULE_TRY(quantized_, files_->show_dequantized(model_->config()));
    } else {
      FERRULE_TRY(model_, BaseModel::open(base_path_, options_.open));
    }
    FERRULE_TRY(live_, merging::LiveTensors::read(*files_, BaseModelAccess::index(*model_)));
    if (quantized_ && options_.dtype != MergeDtype::kKeep) {
      FERRULE_CHECK(
          merging::refuse_quantized_conv1d(*live_, BaseModelAccess::index(*model_), *files_));
    }
    std::vector<merging::Source> sources;
    for (std::size_t i = 0; i < adapters_.size(); ++i) {
      sources.push_back({&adapters_[i], sources_[i].weight});
    }
    if (undo_) std::reverse(sources.begin(), sources.end());
    FERRULE_TRY(plan_,
                merging::plan_merge(sources, *model_, *files_, *live_,
                                    {.undo = undo_, .dtype = merging::dtype_of(options_.dtype)}));
    return {};
  }

  Result<void> plan() {
    const bool keeps = options_.dtype == MergeDtype::kKeep;
    auto planned = open_base(true);
    // A format that is not followed matters only if its weights are to change.
    const bool other = !planned && keeps && !quantized_ &&
                       (planned.error().rule == "MG-6" || planned.error().rule == "MG-11");
    if (other) return open_base(false);
    FERRULE_CHECK(std::move(planned));
    if (!quantized_) return {};
    FERRULE_CHECK(merging::refuse_quantized(*plan_, *files_, undo_, keeps));
    quantized_ = false;
    return keeps ? open_base(false) : Result<void>();
  }

  Result<void> check_output() const {
    const bool in_place = options_.place == MergePlace::kInPlace;
    if (report_.in_place && !in_place) {
      return base::at(base::invalid("MG-5",
                                    "the output is the base itself: give another directory, "
                                    "or --in-place"),
                      output_);
    }
    if (in_place && !report_.in_place) {
      return base::at(base::invalid("MG-5", "--in-place, but the output is not the base"), output_);
    }
    if (in_place) return {};
    FERRULE_TRY(const auto kind, io::kind_at(output_));
    if (kind != io::EntryKind::kFolder) return {};
    FERRULE_TRY(const auto reader, io::DirectoryReader::open(output_));
    FERRULE_TRY(const auto names, reader.names());
    if (names.empty()) return {};
    return base::at(
        base::invalid("MG-5", "the output exists and is not empty (it holds " +
                                  quote(names.front()) + "): remove it, or give another directory"),
        output_);
  }

  Result<void> check_room() const {
    const auto room = io::room_at(output_);
    if (!room) return {};
    std::uint64_t needed = 0;
    for (const auto& shard : out_->shards) {
      const bool linked = shard.unchanged && options_.sharing == MergeSharing::kLink &&
                          shard.file->identity.device == room->device;
      const bool stays = shard.unchanged && report_.in_place;
      if (!linked && !stays) needed += shard.data_bytes();
    }
    if (room->free_bytes >= needed) return {};
    auto error = base::make_error(ErrorCode::kIo, "MG-8",
                                  "the merge writes " + std::to_string(needed) +
                                      " bytes, and the disk has " +
                                      std::to_string(room->free_bytes) + " free");
    error.system_errno = ENOSPC;
    return base::at(std::move(error), output_);
  }

  /// What this merge is, so that another one's files are not taken for its own.
  std::string purpose() const {
    io::Sha256 sum;
    const auto add = [&](std::string_view text) {
      sum.update(std::as_bytes(std::span(text)));
      sum.update(std::as_bytes(std::span("\n", 1)));
    };
    add(version());
    add(undo_ ? "unmerge" : "merge");
    add(std::to_string(static_cast<int>(options_.rounding)) + " " +
        std::to_string(static_cast<int>(options_.dtype)));
    for (const auto& file : files_->weights()) {
      add(file.name + " " + std::to_string(file.identity.inode) + " " +
          std::to_string(file.identity.size) + " " + std::to_string(file.identity.modified_ns));
    }
    for (std::size_t i = 0; i < adapters_.size(); ++i) {
      add(Json(sources_[i].weight).dump());
      add(adapters_[i].config().to_json());
      add(adapters_[i].weights_file().string() + " " + std::to_string(adapters_[i].file_bytes()));
      if (const auto file = io::InputFile::open(adapters_[i].weights_file())) {
        if (const auto is = io::identity_of(file->fd(), file->path())) {
          add(std::to_string(is->inode) + " " + std::to_string(is->modified_ns));
        }
      }
    }
    return "ferrule merge " + io::to_hex(sum.finish());
  }

  Result<void> write_and_publish(io::DirectoryTransaction& transaction, io::WorkFolder& work) {
    FERRULE_CHECK(write_shards(work));
    FERRULE_CHECK(files_->check_unchanged());
    FERRULE_CHECK(put_together(transaction, work));
    return transaction.commit();
  }

  void tell(std::uint64_t done) const {
    std::uint64_t total = 0;
    for (const auto& shard : out_->shards) {
      if (!shard.unchanged) total += shard.data_bytes();
    }
    if (options_.progress) options_.progress({.bytes_done = done, .bytes_total = total});
  }

  Result<void> write_shards(io::WorkFolder& work) {
    std::uint64_t done = 0;
    for (const auto& shard : out_->shards) {
      report_.files.push_back(merging::describe(shard));
      if (shard.unchanged) continue;
      tell(done);
      auto& reported = report_.files.back();
      FERRULE_TRY(reported.resumed, is_complete(shard.file->name, work));
      if (!reported.resumed) {
        FERRULE_TRY(const auto file, work.create(shard.file->name));
        merging::SummedFile summed(*file);
        FERRULE_CHECK(merging::write_shard(
            shard, {.once = options_.rounding == MergeRounding::kOnce, .threads = options_.threads},
            summed));
        report_.bytes_written += file->bytes_written();
        FERRULE_CHECK(work.finish(shard.file->name, *file, summed.sum()));
      }
      reported.bytes = work.done(shard.file->name)->bytes;
      done += shard.data_bytes();
    }
    tell(done);
    return {};
  }

  /// What the journal calls complete is read again.
  static Result<bool> is_complete(const std::string& name, const io::WorkFolder& work) {
    const auto noted = work.done(name);
    if (!noted) return false;
    FERRULE_TRY(const auto file, work.look_at(name));
    if (!file || file->size != noted->bytes) return false;
    merging::ContentSum sum;
    std::vector<std::byte> buffer(kPiece);
    for (std::uint64_t at = 0; at < file->size; at += buffer.size()) {
      const auto piece = std::span(buffer).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file->size - at)));
      FERRULE_CHECK(io::read_fully(file->fd.get(), at, piece, work.path() / name));
      sum.add(at, piece);
    }
    return sum.text() == noted->sum;
  }

  Result<void> put_together(io::DirectoryTransaction& transaction, const io::WorkFolder& work) {
    merging::OtherFiles others(transaction, options_.sharing == MergeSharing::kLink);
    const auto& reader = files_->reader();
    for (std::size_t i = 0; i < out_->shards.size(); ++i) {
      const auto& name = out_->shards[i].file->name;
      if (!out_->shards[i].unchanged) {
        FERRULE_CHECK(transaction.adopt(work.fd(), name, name));
      } else if (!report_.in_place) {
        FERRULE_TRY(report_.files[i].linked, others.bring(reader, name, name, true));
      }
    }
    if (!out_->index_text.empty()) {
      FERRULE_CHECK(transaction.create(files_->index_name(), out_->index_text));
    }
    FERRULE_CHECK(put_config(transaction));
    if (report_.in_place) return {};
    for (const auto& name : files_->others()) {
      if (name == kConfigJson && out_->config.any()) continue;
      FERRULE_CHECK(others.bring(reader, name, name, false));
      report_.copied.push_back(name);
    }
    if (!files_->index_name().empty() && out_->index_text.empty()) {
      FERRULE_CHECK(others.bring(reader, files_->index_name(), files_->index_name(), false));
    }
    FERRULE_CHECK(others.bring_folders(base_path_));
    const auto add = [](std::vector<std::string>& to, const std::vector<std::string>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    add(report_.copied, others.from_folders());
    add(report_.left_out, others.left_out());
    report_.bytes_written += others.bytes_copied();
    return {};
  }

  Result<void> put_config(io::DirectoryTransaction& transaction) {
    if (!out_->config.any()) return {};
    FERRULE_TRY(const auto file, files_->reader().open_file(kConfigJson));
    std::string text = "{}";
    if (file) {
      FERRULE_TRY(text, file->read_text(options_.open.limits.text_bytes));
    }
    auto changed = merging::changed_config(text, out_->config);
    if (!changed) return base::at(std::move(changed).error(), base_path_ / kConfigJson);
    return transaction.create(kConfigJson, *changed);
  }

  std::span<const MergeSource> sources_;
  const fs::path& base_path_;
  const fs::path& output_;
  const MergeOptions& options_;
  bool undo_;
  std::vector<Adapter> adapters_;
  std::optional<merging::BaseFiles> files_;
  std::optional<BaseModel> model_;
  std::optional<merging::LiveTensors> live_;
  std::optional<merging::MergePlan> plan_;
  bool quantized_ = false;
  std::optional<OutputPlan> out_;
  MergeReport report_;
};

}  // namespace

Result<MergeReport> merge(std::span<const MergeSource> adapters, const fs::path& base,
                          const fs::path& output, const MergeOptions& options) {
  return Merge(adapters, base, output, options, false).run();
}

Result<MergeReport> unmerge(std::span<const MergeSource> adapters, const fs::path& merged,
                            const fs::path& output, const MergeOptions& options) {
  return Merge(adapters, merged, output, options, true).run();
}

}  // namespace ferrule
