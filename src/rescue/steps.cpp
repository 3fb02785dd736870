// SPDX-License-Identifier: Apache-2.0
// Which part of a folder holds the weights. In the order in which they count (docs/rescue.md):
//
//   a step of DeepSpeed, of DCP, shards        in the folder itself
//   global_stepN, the tag that `latest` names  DeepSpeed's steps
//   pytorch_model_fsdp_0, ..._fsdp.bin         what Accelerate and Trainer write of FSDP
//   per-rank files, adapter_model.*, model.*   single files
//   checkpoint-N, step-N, iter_N, epoch-N      the folder of a run: each of them in turn
#include "rescue/steps.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/checkpoint_folder.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "io/kind_at.hpp"
#include "io/walk.hpp"
#include "rescue/dcp.hpp"
#include "rescue/rank_files.hpp"
#include "rescue/safetensors_files.hpp"
#include "rescue/shards.hpp"
#include "rescue/step_names.hpp"
#include "rescue/torch_files.hpp"
#include "rescue/universal.hpp"
#include "rescue/zero.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxNesting = 3;
constexpr std::uint64_t kMaxTag = 4096;

bool has(const std::vector<std::string>& names, std::string_view wanted) {
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

class StepFinder {
 public:
  explicit StepFinder(PreferredWeights prefer) : prefer_(prefer) {}

  Result<Steps> find(const fs::path& path) {
    FERRULE_TRY(const auto kind, io::kind_at(path));
    if (kind == io::EntryKind::kNothing) {
      return base::at(base::not_found("there is no such file or folder"), path.string());
    }
    if (kind == io::EntryKind::kFolder) {
      FERRULE_TRY(const bool any, folder(path, std::nullopt, kMaxNesting));
      if (!any) return incomplete_ ? *incomplete_ : nothing(path);
    } else {
      FERRULE_CHECK(file(path));
    }
    return std::move(out_);
  }

 private:
  using Finder = std::function<Result<Found>(const std::shared_ptr<Sources>&)>;

  void add(const fs::path& path, std::optional<std::int64_t> number, Finder finder) {
    out_.steps.push_back({path, number, std::move(finder)});
  }

  Result<void> file(const fs::path& path) {
    const auto name = path.filename().string();
    if (name == ".metadata" || name.ends_with(".distcp") || name.ends_with("_states.pt")) {
      return base::at(
          base::unsupported("RS-1", "it is one file of a checkpoint: give the folder it is in"),
          path.string());
    }
    if (name.ends_with(".safetensors.index.json") || name.ends_with(".bin.index.json")) {
      add(path, std::nullopt, [folder = path.parent_path(), name](const auto& sources) {
        return find_indexed(sources, folder, name);
      });
    } else if (name.ends_with(".safetensors")) {
      add(path, std::nullopt,
          [path](const auto& sources) { return find_safetensors(sources, path); });
    } else {
      add(path, number_in(name),
          [path](const auto& sources) { return find_torch_file(sources, path); });
    }
    return {};
  }

  /// True if something was found in the folder.
  Result<bool> folder(const fs::path& path, std::optional<std::int64_t> number, int depth) {
    FERRULE_TRY(auto listing, io::list_by_kind(path, io::Stages::kSkip));
    auto& files = listing.files;
    auto folders = std::move(listing.directories);
    folders.insert(folders.end(), listing.linked.begin(), listing.linked.end());
    std::sort(files.begin(), files.end());
    std::sort(folders.begin(), folders.end());
    if (!number) number = number_in(path.filename().string());
    if (own_files(path, number, files, folders)) return true;
    FERRULE_TRY(const bool tagged, deepspeed_steps(path, number, files, folders, depth));
    if (tagged) return true;
    if (has(folders, "actor") && depth > 0) {  // verl's step: the actor, the critic and data.pt.
      FERRULE_TRY(const bool found, folder(path / "actor", number, depth - 1));
      if (found) return true;
    }
    if (single_files(path, number, files, folders)) {
      // A trainer's last save may be broken, and its steps whole.
      if (depth == kMaxNesting) FERRULE_CHECK(steps_below(path, folders));
      return true;
    }
    if (!incomplete_) incomplete_ = what_is_left(path, files, folders);
    return depth == 0 ? Result<bool>(false) : run(path, folders, files, depth);
  }

  /// A step in the folder itself.
  bool own_files(const fs::path& path, std::optional<std::int64_t> number,
                 const std::vector<std::string>& files, const std::vector<std::string>& folders) {
    const bool distcp = std::any_of(files.begin(), files.end(), [](const std::string& name) {
      return name.ends_with(".distcp");
    });
    if (distcp || has(files, ".metadata")) {
      add(path, number, [path](const auto& sources) { return find_dcp(sources, path); });
      return true;
    }
    if (has(folders, "zero") && is_zero_folder(files)) {
      add(path, number, [path, prefer = prefer_](const auto& sources) {
        return find_universal(sources, path, prefer);
      });
      return true;
    }
    if (is_zero_folder(files)) {
      add(path, number, [path, files, prefer = prefer_](const auto& sources) {
        return find_zero(sources, path, files, prefer);
      });
      return true;
    }
    if (is_shard_folder(files)) {
      add(path, number,
          [path, files](const auto& sources) { return find_shards(sources, path, files); });
      return true;
    }
    return false;
  }

  /// RS-9.
  Result<bool> deepspeed_steps(const fs::path& path, std::optional<std::int64_t> number,
                               const std::vector<std::string>& files,
                               const std::vector<std::string>& folders, int depth) {
    std::vector<std::string> tags;
    for (const auto& name : folders) {
      if (name.starts_with("global_step") && number_in(name)) tags.push_back(name);
    }
    newest_first(tags);
    for (const auto* pointer : {"latest", "latest_universal"}) {
      if (!has(files, pointer)) continue;
      FERRULE_TRY(auto tag, read_text_file(path / pointer, kMaxTag));
      while (!tag.empty() && (tag.back() == '\n' || tag.back() == '\r')) tag.pop_back();
      if (!has(folders, tag)) {
        return base::at(
            base::corrupt("RS-9", "it names the step " + quote(tag) + ", which is not there"),
            (path / pointer).string());
      }
      if (tags.empty() || !has(tags, tag)) {
        tags.push_back(tag);
      } else if (tags.front() != tag) {
        out_.findings.push_back(
            {.severity = Severity::kNote,
             .rule = "RS-9",
             .path = (path / pointer).string(),
             .key = {},
             .message = "it names " + quote(tag) + ", but there is a newer " + quote(tags.front()),
             .advice = {}});
      }
    }
    bool any = false;
    for (const auto& tag : tags) {
      const auto step = number_in(tag);
      FERRULE_TRY(const bool found,
                  folder(path / tag, step ? step : number, std::max(depth - 1, 0)));
      any |= found;
    }
    return any;
  }

  bool single_files(const fs::path& path, std::optional<std::int64_t> number,
                    const std::vector<std::string>& files,
                    const std::vector<std::string>& folders) {
    for (const auto& name : folders) {
      if (!name.starts_with("pytorch_model_fsdp_")) continue;
      add(path / name, number,
          [inner = path / name](const auto& sources) { return find_dcp(sources, inner); });
      return true;
    }
    if (has(files, "pytorch_model_fsdp.bin")) return torch(path / "pytorch_model_fsdp.bin", number);
    if (auto ranks = rank_files(files); !ranks.empty()) {
      add(path, number, [path, ranks = std::move(ranks)](const auto& sources) {
        return find_rank_files(sources, path, ranks);
      });
      return true;
    }
    for (const auto* name : {kSafetensorsFile, "model.safetensors"}) {
      if (!has(files, name)) continue;
      add(path / name, number,
          [file = path / name](const auto& sources) { return find_safetensors(sources, file); });
      return true;
    }
    if (has(files, kBinFile)) return torch(path / kBinFile, number);
    for (const auto& name : files) {
      if (!name.ends_with(".safetensors.index.json") && !name.ends_with(".bin.index.json"))
        continue;
      add(path, number,
          [path, name](const auto& sources) { return find_indexed(sources, path, name); });
      return true;
    }
    return other_file(path, number, files);
  }

  bool torch(const fs::path& path, std::optional<std::int64_t> number) {
    add(path, number, [path](const auto& sources) { return find_torch_file(sources, path); });
    return true;
  }

  /// The only file of tensors in the folder; checkpoints of Lightning, one a step.
  bool other_file(const fs::path& path, std::optional<std::int64_t> number,
                  const std::vector<std::string>& files) {
    std::vector<std::string> others;
    std::vector<std::string> lightning;
    for (const auto& name : files) {
      if (name.starts_with('.') || container::is_training_state(name)) continue;
      if (name.ends_with(".ckpt")) lightning.push_back(name);
      if (name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".bin") ||
          name.ends_with(".safetensors")) {
        others.push_back(name);
      }
    }
    if (!lightning.empty()) {
      for (const auto& [step, name] : by_step(path, lightning)) torch(path / name, step);
      return true;
    }
    if (others.size() != 1) return false;
    if (!others[0].ends_with(".safetensors")) return torch(path / others[0], number);
    add(path / others[0], number,
        [file = path / others[0]](const auto& sources) { return find_safetensors(sources, file); });
    return true;
  }

  /// The steps of Trainer's run, whose own folder has weights too.
  Result<void> steps_below(const fs::path& path, std::vector<std::string> folders) {
    std::erase_if(folders, [](const std::string& name) {
      return !name.starts_with("checkpoint-") || !number_in(name);
    });
    newest_first(folders);
    for (const auto& name : folders) {
      FERRULE_CHECK(folder(path / name, number_in(name), kMaxNesting - 1));
    }
    return {};
  }

  using Numbered = std::pair<std::optional<std::int64_t>, std::string>;

  /// Checkpoints of Lightning, the newest first. "last.ckpt" and "best-loss=0.25.ckpt" do not say
  /// their step: the file does.
  static std::vector<Numbered> by_step(const fs::path& path,
                                       const std::vector<std::string>& names) {
    std::vector<Numbered> steps;
    for (const auto& name : names) {
      auto number = number_in(name);
      if (!number) number = step_inside(path / name);
      steps.emplace_back(number, name);
    }
    std::stable_sort(steps.begin(), steps.end(), [](const Numbered& a, const Numbered& b) {
      return a.first.value_or(-1) > b.first.value_or(-1);
    });
    return steps;
  }

  /// The folder of a run.
  Result<bool> run(const fs::path& path, const std::vector<std::string>& folders,
                   const std::vector<std::string>& files, int depth) {
    FERRULE_CHECK(check_megatron(path, folders, files));
    std::vector<std::string> steps;
    for (const auto& name : folders) {
      if (is_step_folder(name) || name.ends_with(".ckpt")) steps.push_back(name);
    }
    bool any = false;
    for (const auto& [number, name] : by_step(path, steps)) {
      FERRULE_TRY(const bool found, folder(path / name, number, depth - 1));
      any |= found;
    }
    if (any) return true;
    for (const auto* name : {"checkpoint", "checkpoints", "sharded", "pytorch_model", "weights"}) {
      if (!has(folders, name)) continue;
      FERRULE_TRY(const bool found, folder(path / name, std::nullopt, depth - 1));
      if (found) return true;
    }
    return false;
  }

  /// RS-9.
  static Result<void> check_megatron(const fs::path& path, const std::vector<std::string>& folders,
                                     const std::vector<std::string>& files) {
    constexpr const char* kPointer = "latest_checkpointed_iteration.txt";
    if (!has(files, kPointer)) return {};
    FERRULE_TRY(const auto text, read_text_file(path / kPointer, kMaxTag));
    std::int64_t wanted = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wanted);
    if (error != std::errc()) return {};  // "release".
    const bool there = std::any_of(folders.begin(), folders.end(), [&](const std::string& name) {
      return is_step_folder(name) && number_in(name) == wanted;
    });
    if (there) return {};
    return base::at(base::corrupt("RS-9", "it names the iteration " + std::to_string(wanted) +
                                              ", which is not there"),
                    (path / kPointer).string());
  }

  /// A folder that lost its weights and kept other parts of a checkpoint.
  static std::optional<Error> what_is_left(const fs::path& path,
                                           const std::vector<std::string>& files,
                                           const std::vector<std::string>& folders) {
    const auto of_optimizer = [](const std::string& name) { return name.starts_with("optimizer"); };
    const auto there = std::find_if(folders.begin(), folders.end(), of_optimizer);
    const auto file = std::find_if(files.begin(), files.end(), of_optimizer);
    if (has(folders, "zero")) {
      return base::at(base::corrupt("RS-5", "the model's file is missing, or those of its ranks"),
                      (path / "mp_rank_00_model_states.pt").string());
    }
    if (there == folders.end() && file == files.end()) return std::nullopt;
    return base::at(
        base::corrupt("RS-10", "it holds the state of an optimizer, and no weights: no adapter"),
        (path / (there == folders.end() ? *file : *there)).string());
  }

  static Error nothing(const fs::path& path) {
    return base::at(base::corrupt("RS-1",
                                  "there is no checkpoint in it that is known: no .metadata, no "
                                  "ranks' files, no file of tensors, no folder of a step; so no "
                                  "adapter"),
                    path.string());
  }

  PreferredWeights prefer_;
  Steps out_;
  /// Why the first folder that looks like a checkpoint is none.
  std::optional<Error> incomplete_;
};

}  // namespace

Result<Steps> find_steps(const fs::path& path, PreferredWeights prefer) {
  return StepFinder(prefer).find(path);
}

}  // namespace ferrule::rescues
