// SPDX-License-Identifier: Apache-2.0
#include "rescue/torch_state.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/sharded_tensor.hpp"

namespace ferrule::rescues {
namespace {

using format::PickleValue;
using format::PickleView;

constexpr int kMaxNesting = 4;

constexpr std::array<std::string_view, 7> kNotWeights = {
    "lr_schedulers", "lr_scheduler", "scheduler", "callbacks", "loops", "rng_state", "ema"};

/// True for the state of an optimizer, whatever its key: "optimizer_0", or of its own form.
bool is_of_optimizer(const PickleView& view, std::string_view key, const PickleValue& dict) {
  return key.starts_with("optim") || (view.find(dict, "state") && view.find(dict, "param_groups"));
}

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
    if (is_of_optimizer(view, *name, pairs[i + 1])) {
      out.has_optimizer = true;
      continue;
    }
    if (std::find(kNotWeights.begin(), kNotWeights.end(), *name) != kNotWeights.end()) {
      continue;
    }
    collect(view, pairs[i + 1], depth - 1, out);
  }
}

}  // namespace

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

Result<std::optional<LocalShard>> read_shard(const TorchState& file, std::string_view name,
                                             const PickleValue& value) {
  FERRULE_TRY(auto shard, read_dtensor(file, name, value));
  if (shard) return shard;
  return read_sharded_tensor(file, name, value);
}

std::optional<std::int64_t> step_of(const PickleView& view) {
  for (const auto* key : {"global_step", "global_steps", "step", "iteration"}) {
    const auto value = view.find(view.root(), key);
    if (const auto step = value ? view.integer(*value) : std::nullopt) return step;
  }
  return std::nullopt;
}

}  // namespace ferrule::rescues
