// SPDX-License-Identifier: Apache-2.0
#include "rescue/torch_files.hpp"

#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"
#include "rescue/torch_state.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

std::string kind_of(const TorchState& file) {
  const auto view = file.view();
  if (view.is_dict(view.root()) && view.find(view.root(), "pytorch-lightning_version")) {
    return "a checkpoint of Lightning";
  }
  return "a file of torch.save";
}

}  // namespace

Result<Found> find_torch_file(const std::shared_ptr<Sources>& sources, const fs::path& path) {
  FERRULE_TRY(const auto file, TorchState::open(*sources, path));
  return find_torch_state(*sources, file);
}

Result<Found> find_torch_state(Sources& sources, const TorchState& file) {
  FERRULE_TRY(const auto state, state_of(file));
  Found found{
      .tensors = {}, .kind = kind_of(file), .folder = file.path(), .step = step_of(file.view())};
  found.has_optimizer = state.has_optimizer;
  std::set<std::string_view> names;
  for (const auto& [name, value] : state.values) {
    if (!names.insert(name).second) {
      // Numbers that a trainer counts, under the same name in several places: not of a model.
      if (name.find('.') == std::string_view::npos) continue;
      return file.bad("RS-11", "two state dicts in it have a tensor " + quote(name));
    }
    FERRULE_TRY(const auto shard, read_shard(file, name, value));
    if (!shard) {
      FERRULE_TRY(auto tensor, file.tensor(sources, name, value));
      found.tensors.push_back(std::move(tensor));
      continue;
    }
    if (shard->is_empty) {
      found.tensors.push_back({.name = std::string(name), .shape = shard->shape});
      continue;
    }
    FERRULE_TRY(const auto local, file.tensor(sources, name, shard->local));
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

std::optional<std::int64_t> step_inside(const fs::path& path) {
  for (const std::string_view name : {"", "meta.pt", "checkpoint/mp_rank_00_model_states.pt",
                                      "checkpoint/zero_pp_rank_0_mp_rank_00_model_states.pt"}) {
    const auto file = name.empty() ? path : path / name;
    const auto kind = io::kind_at(file);
    if (!kind || *kind != io::EntryKind::kFile) continue;
    Sources sources;
    const auto state = TorchState::open(sources, file);
    if (!state || !state->view().is_dict(state->view().root())) return std::nullopt;
    return step_of(state->view());
  }
  return std::nullopt;
}

}  // namespace ferrule::rescues
