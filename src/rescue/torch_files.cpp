// SPDX-License-Identifier: Apache-2.0
#include "rescue/torch_files.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/dtensor.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;
using format::PickleValue;
using format::PickleView;

constexpr int kMaxNesting = 4;
constexpr std::uint64_t kMaxRanks = 65536;

constexpr std::array<std::string_view, 12> kNotWeights = {
    "optimizer",     "optim",        "optimizers", "optimizer_states", "optimizer_state_dict",
    "lr_schedulers", "lr_scheduler", "scheduler",  "callbacks",        "loops",
    "rng_state",     "ema"};

struct NamedValue {
  std::string_view name;
  PickleValue value;
};

/// The tensors of a state dict, wherever in a trainer's dictionary it is.
struct StateValues {
  std::vector<NamedValue> values;
  bool has_optimizer = false;
};

void collect(const PickleView& view, const PickleValue& dict, int depth, StateValues& out) {
  const auto pairs = view.pairs(dict);
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const auto name = view.text(pairs[i]);
    if (!name) continue;
    if (is_tensor(view, pairs[i + 1])) {
      out.values.push_back({*name, pairs[i + 1]});
      continue;
    }
    if (!view.is_dict(pairs[i + 1]) || depth == 0) continue;
    if (std::find(kNotWeights.begin(), kNotWeights.end(), *name) != kNotWeights.end()) {
      out.has_optimizer = true;
      continue;
    }
    collect(view, pairs[i + 1], depth - 1, out);
  }
}

Result<StateValues> state_of(const TorchState& file) {
  const auto view = file.view();
  StateValues out;
  if (!view.is_dict(view.root())) {
    return file.bad("RS-10", "it does not hold a dictionary of tensors: no adapter");
  }
  auto dict = view.root();
  if (view.find(dict, "pytorch-lightning_version")) {
    const auto state = view.find(dict, "state_dict");
    if (!state) return file.bad("RS-10", "it is a checkpoint of Lightning without weights");
    dict = *state;
  }
  collect(view, dict, kMaxNesting, out);
  const bool optimizer = view.find(dict, "state") && view.find(dict, "param_groups");
  if (optimizer || (out.values.empty() && out.has_optimizer)) {
    return file.bad("RS-10", "it holds the state of an optimizer, and no weights: no adapter");
  }
  return out;
}

std::optional<std::int64_t> step_of(const PickleView& view) {
  for (const auto* key : {"global_step", "global_steps", "step", "iteration"}) {
    const auto value = view.find(view.root(), key);
    if (const auto step = value ? view.integer(*value) : std::nullopt) return step;
  }
  return std::nullopt;
}

std::string kind_of(const TorchState& file) {
  const auto view = file.view();
  if (view.is_dict(view.root()) && view.find(view.root(), "pytorch-lightning_version")) {
    return "a checkpoint of Lightning";
  }
  return "a file of torch.save";
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
      if (!found_.step) found_.step = step_of(file.view());
      if (const auto step = step_of(file.view()); step != found_.step) {
        return file.bad("RS-6", "it is of another step than " + quote(files_.begin()->second));
      }
      for (const auto& [tensor, value] : state.values)
        FERRULE_CHECK(add(file, tensor, value, rank));
      ++rank;
    }
    if (mesh_size_ != 0) FERRULE_CHECK(check_numbers(mesh_size_));
    for (auto& [name, tensor] : tensors_) {
      tensor.is_flat = is_flat_;
      found_.tensors.push_back(std::move(tensor));
    }
    return std::move(found_);
  }

 private:
  /// FSDP's LOCAL_STATE_DICT: each rank has a run of the elements of each tensor.
  static bool holds_runs(const TorchState& file, const StateValues& state) {
    return !state.values.empty() &&
           std::all_of(state.values.begin(), state.values.end(), [&](const NamedValue& entry) {
             const auto tensor = file.object().tensor(entry.value);
             return tensor && tensor->shape.size() == 1;
           });
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

  Result<void> add(const TorchState& file, std::string_view name, const PickleValue& value,
                   std::uint64_t rank) {
    FERRULE_TRY(const auto shard, read_dtensor(file, name, value));
    if (!shard) return add_copy(file, name, value, rank);
    mesh_size_ = std::max(mesh_size_, shard->mesh_size);
    FERRULE_TRY(const auto local, file.tensor(sources_, name, shard->local));
    const auto [place, inserted] = tensors_.try_emplace(std::string(name));
    auto& tensor = place->second;
    if (inserted) {
      tensor.name = name;
      tensor.dtype = tensor.stored = shard->dtype;
      tensor.shape = shard->shape;
    } else if (tensor.shape != shard->shape || tensor.dtype != shard->dtype) {
      return file.bad("RS-4", "tensor " + quote(name) + " is " + base::shape_text(shard->shape) +
                                  " here, and " + base::shape_text(tensor.shape) + " in " +
                                  quote(files_.begin()->second));
    }
    if (local.pieces.empty()) return {};
    Piece piece = local.pieces.front();
    piece.offsets = shard->offsets;
    piece.sizes = shard->sizes;
    return enter(std::move(piece), tensor);
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
      for (auto& piece : tensor.pieces) piece.is_range = is_flat_;
      tensors_.emplace(std::string(name), std::move(tensor));
      return {};
    }
    auto& known = place->second;
    if (is_flat_ && known.dtype == tensor.dtype && tensor.shape.size() == 1) {
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
  std::uint64_t mesh_size_ = 0;
  bool is_flat_ = false;
  Found found_;
};

}  // namespace

Result<Found> find_torch_file(const std::shared_ptr<Sources>& sources, const fs::path& path) {
  FERRULE_TRY(const auto file, TorchState::open(*sources, path));
  FERRULE_TRY(const auto state, state_of(file));
  Found found{.tensors = {}, .kind = kind_of(file), .folder = path, .step = step_of(file.view())};
  found.has_optimizer = state.has_optimizer;
  std::set<std::string_view> names;
  for (const auto& [name, value] : state.values) {
    if (!names.insert(name).second) {
      return file.bad("RS-11", "two state dicts in it have a tensor " + quote(name));
    }
    FERRULE_TRY(const auto shard, read_dtensor(file, name, value));
    if (!shard) {
      FERRULE_TRY(auto tensor, file.tensor(*sources, name, value));
      found.tensors.push_back(std::move(tensor));
      continue;
    }
    FERRULE_TRY(const auto local, file.tensor(*sources, name, shard->local));
    FoundTensor tensor{.name = std::string(name),
                       .dtype = shard->dtype,
                       .stored = shard->dtype,
                       .shape = shard->shape};
    for (auto piece : local.pieces) {
      piece.offsets = shard->offsets;
      piece.sizes = shard->sizes;
      tensor.pieces.push_back(std::move(piece));
    }
    found.tensors.push_back(std::move(tensor));
  }
  return found;
}

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
