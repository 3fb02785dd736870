// SPDX-License-Identifier: Apache-2.0
#include "rescue/rank_files.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/sharded_tensor.hpp"
#include "rescue/torch_state.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;
using format::PickleValue;

constexpr std::uint64_t kMaxRanks = 65536;

bool is_flat_parameter(std::string_view name) {
  return name == kFlatParameter ||
         (name.ends_with(kFlatParameter) && name[name.size() - kFlatParameter.size() - 1] == '.');
}

bool is_torch_name(std::string_view name, std::string_view& stem) {
  for (const std::string_view suffix : {".bin", ".pt", ".pth", ".ckpt"}) {
    if (!name.ends_with(suffix)) continue;
    stem = name.substr(0, name.size() - suffix.size());
    return true;
  }
  return false;
}

/// "model_rank_3" -> "model_rank_" and 3.
std::optional<std::uint64_t> split_rank(std::string_view stem, std::string_view& head) {
  std::size_t digits = stem.size();
  while (digits > 0 && stem[digits - 1] >= '0' && stem[digits - 1] <= '9') --digits;
  head = stem.substr(0, digits);
  std::uint64_t rank = 0;
  const auto [end, error] = std::from_chars(stem.data() + digits, stem.data() + stem.size(), rank);
  if (error != std::errc() || digits == stem.size() || rank >= kMaxRanks) return std::nullopt;
  return rank;
}

bool is_state_of_trainer(std::string_view head) {
  return head.find("rng") != std::string_view::npos ||
         head.find("random_states") != std::string_view::npos ||
         head.find("optim") != std::string_view::npos ||
         head.find("extra_state") != std::string_view::npos ||
         head.find("scheduler") != std::string_view::npos;
}

/// Merges what the files of all ranks hold.
class RankMerger {
 public:
  RankMerger(Sources& sources, const fs::path& folder,
             const std::map<std::uint64_t, std::string>& files)
      : sources_(sources), folder_(folder), files_(files) {}

  Result<Found> merge() {
    found_.folder = folder_;
    found_.kind = "one file of torch.save for each rank";
    found_.world_size = files_.size();
    FERRULE_CHECK(check_numbers(files_.size()));
    std::uint64_t rank = 0;
    for (const auto& [number, name] : files_) {
      FERRULE_TRY(const auto file, TorchState::open(sources_, folder_ / name));
      FERRULE_TRY(const auto state, state_of(file));
      if (rank == 0) is_flat_ = holds_runs(file, state);
      plain_.clear();
      for (const auto& entry : state.values) plain_.insert(entry.name);
      if (!found_.step) found_.step = step_of(file.view());
      if (const auto step = step_of(file.view()); step != found_.step) {
        return file.bad("RS-6", "it is of another step than " + quote(files_.begin()->second));
      }
      for (const auto& [tensor, value] : state.values)
        FERRULE_CHECK(add(file, tensor, value, rank));
      ++rank;
    }
    if (mesh_size_ != 0) FERRULE_CHECK(check_mesh());
    if (!found_.step && files_.size() > 1) note_what_is_not_proved();
    for (auto& [name, tensor] : tensors_) {
      found_.tensors.push_back(std::move(tensor));
    }
    return std::move(found_);
  }

 private:
  /// RS-17.
  void note_what_is_not_proved() {
    found_.note_unproved(
        "nothing in the files of the ranks says their step: that all are of one step "
        "and run is not proved");
  }

  /// FSDP's LOCAL_STATE_DICT: each rank has a run of the elements of each tensor. It has the flat
  /// parameter too, but what is saved of the adapter alone may leave it out.
  static bool holds_runs(const TorchState& file, const StateValues& state) {
    const auto is_run = [&](const NamedValue& entry) {
      const auto tensor = file.object().tensor(entry.value);
      return tensor && tensor->shape.size() == 1;
    };
    const auto is_flat = [](const NamedValue& entry) { return is_flat_parameter(entry.name); };
    return !state.values.empty() &&
           (std::any_of(state.values.begin(), state.values.end(), is_flat) ||
            std::all_of(state.values.begin(), state.values.end(), is_run));
  }

  /// RS-5.
  Result<void> check_numbers(std::uint64_t count) const {
    for (std::uint64_t rank = 0; rank < count; ++rank) {
      if (files_.contains(rank)) continue;
      std::string_view stem;
      std::string_view head;
      const auto& example = files_.begin()->second;
      is_torch_name(example, stem);
      split_rank(stem, head);
      const auto name = std::string(head) + std::to_string(rank) + example.substr(stem.size());
      return base::at(
          base::corrupt("RS-5", "the file of rank " + std::to_string(rank) + " is missing"),
          (folder_ / name).string());
    }
    return {};
  }

  /// RS-5: the mesh may be a part of the job, whose other parts have copies.
  Result<void> check_mesh() const {
    FERRULE_CHECK(check_numbers(mesh_size_));
    if (files_.size() % mesh_size_ == 0) return {};
    const auto& [rank, name] = *files_.rbegin();
    return base::at(
        base::corrupt(
            "RS-5", "it is of rank " + std::to_string(rank) + ", but the tensors are spread over " +
                        std::to_string(mesh_size_) + " ranks: files of two jobs are mixed"),
        (folder_ / name).string());
  }

  Result<void> add(const TorchState& file, std::string_view name, const PickleValue& value,
                   std::uint64_t rank) {
    FERRULE_TRY(const auto shard, read_shard(file, name, value));
    if (!shard) return add_copy(file, name, value, rank);
    mesh_size_ = std::max(mesh_size_, shard->mesh_size);
    const bool is_flat = is_flat_parameter(name);
    // With use_orig_params the parameters are there too, under their own names.
    const auto own = is_flat ? parameter_of(name) : std::string(name);
    if (is_flat && plain_.contains(own)) return {};
    const auto [place, inserted] = tensors_.try_emplace(own);
    auto& tensor = place->second;
    if (inserted) {
      tensor.name = own;
      tensor.shape = shard->shape;
      tensor.is_flat = is_flat;
    }
    if (shard->is_empty && tensor.shape == shard->shape) return {};
    if (tensor.pieces.empty()) tensor.dtype = tensor.stored = shard->dtype;
    if (tensor.shape != shard->shape || tensor.dtype != shard->dtype) {
      return file.bad("RS-4", "tensor " + quote(name) + " is " + base::shape_text(shard->shape) +
                                  " here, and " + base::shape_text(tensor.shape) + " in " +
                                  quote(files_.begin()->second));
    }
    FERRULE_TRY(const auto local, file.tensor(sources_, name, shard->local));
    if (local.pieces.empty()) return {};
    Piece piece = local.pieces.front();
    piece.offsets = shard->offsets;
    piece.sizes = shard->sizes;
    piece.is_range = is_flat;
    return enter(std::move(piece), tensor);
  }

  /// "lora_A.default._flat_param" -> "lora_A.default.weight": what PEFT wraps by itself has one.
  static std::string parameter_of(std::string_view flat) {
    return std::string(flat.substr(0, flat.size() - kFlatParameter.size())) + "weight";
  }

  static Result<void> enter(Piece piece, FoundTensor& tensor) {
    const bool known =
        std::any_of(tensor.pieces.begin(), tensor.pieces.end(), [&](const Piece& other) {
          return other.offsets == piece.offsets && other.sizes == piece.sizes;
        });
    (known ? tensor.replicas : tensor.pieces).push_back(std::move(piece));
    return {};
  }

  /// A plain tensor: every rank has all of it, or a run of its elements (FSDP's LOCAL_STATE_DICT).
  Result<void> add_copy(const TorchState& file, std::string_view name, const PickleValue& value,
                        std::uint64_t rank) {
    FERRULE_TRY(auto tensor, file.tensor(sources_, name, value));
    const auto place = tensors_.find(name);
    if (place == tensors_.end()) {
      tensor.is_flat = is_flat_ && tensor.shape.size() == 1;
      for (auto& piece : tensor.pieces) piece.is_range = tensor.is_flat;
      tensors_.emplace(std::string(name), std::move(tensor));
      return {};
    }
    auto& known = place->second;
    if (known.is_flat && known.dtype == tensor.dtype && tensor.shape.size() == 1) {
      return append_run(std::move(tensor), known);
    }
    if (known.shape == tensor.shape && known.dtype == tensor.dtype) {
      for (auto& piece : tensor.pieces) FERRULE_CHECK(enter(std::move(piece), known));
      return {};
    }
    return file.bad("RS-15", "tensor " + quote(name) + " is " + base::shape_text(tensor.shape) +
                                 " on rank " + std::to_string(rank) + ", and " +
                                 base::shape_text(known.shape) + " on others");
  }

  Result<void> append_run(FoundTensor tensor, FoundTensor& known) {
    for (auto& piece : tensor.pieces) {
      piece.is_range = true;
      piece.offsets = {known.shape[0]};
      known.pieces.push_back(std::move(piece));
    }
    known.shape[0] += tensor.shape[0];
    return {};
  }

  Sources& sources_;
  const fs::path& folder_;
  const std::map<std::uint64_t, std::string>& files_;
  std::map<std::string, FoundTensor, std::less<>> tensors_;
  std::set<std::string_view> plain_;  // Names in the file that is read.
  std::uint64_t mesh_size_ = 0;
  bool is_flat_ = false;
  Found found_;
};

}  // namespace

std::map<std::uint64_t, std::string> rank_files(const std::vector<std::string>& names) {
  std::map<std::string_view, std::map<std::uint64_t, std::string>> groups;
  for (const auto& name : names) {
    std::string_view stem;
    std::string_view head;
    if (name.starts_with('.') || !is_torch_name(name, stem)) continue;
    const auto rank = split_rank(stem, head);
    const bool named = head.find("rank") != std::string_view::npos ||
                       head.find("shard") != std::string_view::npos ||
                       head.find("tp") != std::string_view::npos;
    if (rank && named && !is_state_of_trainer(head)) groups[head].emplace(*rank, name);
  }
  std::map<std::uint64_t, std::string> largest;
  for (auto& [head, files] : groups) {
    if (files.size() > largest.size()) largest = std::move(files);
  }
  return largest;
}

Result<Found> find_rank_files(const std::shared_ptr<Sources>& sources, const fs::path& folder,
                              const std::map<std::uint64_t, std::string>& files) {
  return RankMerger(*sources, folder, files).merge();
}

}  // namespace ferrule::rescues
