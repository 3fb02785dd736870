// SPDX-License-Identifier: Apache-2.0
#include "rescue/zero_experts.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxExperts = 65536;
constexpr std::string_view kEnd = "_mp_rank_00_model_states.pt";

bool is_expert_file(std::string_view name) {
  return name.find("expert_") != std::string_view::npos && name.ends_with("_model_states.pt");
}

/// RS-5: the names of all experts' files, by the model's own count.
Result<std::vector<std::string>> expected_names(const TorchState& model) {
  std::vector<std::string> expected;
  const auto view = model.view();
  const auto counts = view.find(view.root(), "num_experts");
  const auto layers = counts ? view.counts(*counts) : std::nullopt;
  if (!layers) return expected;
  for (std::size_t layer = 0; layer < layers->size(); ++layer) {
    if ((*layers)[layer] > kMaxExperts || expected.size() > kMaxExperts) {
      return model.bad("RS-5", "its num_experts is not possible");
    }
    for (std::uint64_t expert = 0; expert < (*layers)[layer]; ++expert) {
      expected.push_back("layer_" + std::to_string(layer) + "_expert_" + std::to_string(expert) +
                         std::string(kEnd));
    }
  }
  return expected;
}

}  // namespace

Result<std::vector<TorchState>> open_experts(Sources& sources, const TorchState& model,
                                             const fs::path& folder,
                                             const std::vector<std::string>& names) {
  FERRULE_TRY(const auto expected, expected_names(model));
  for (const auto& name : names) {
    if (!is_expert_file(name)) continue;
    if (!name.ends_with(kEnd)) {
      return base::at(base::unsupported("RS-7",
                                        "it is of experts that tensor parallelism splits: "
                                        "such checkpoints of DeepSpeed are not read"),
                      (folder / name).string());
    }
    if (std::find(expected.begin(), expected.end(), name) != expected.end()) continue;
    return base::at(base::corrupt("RS-5",
                                  "it is of an expert that the model does not have, by "
                                  "num_experts in " +
                                      quote(model.path().filename().string())),
                    (folder / name).string());
  }
  std::vector<TorchState> opened;
  for (const auto& name : expected) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return base::at(base::corrupt("RS-5", "the file of this expert is missing"),
                      (folder / name).string());
    }
    FERRULE_TRY(auto state, TorchState::open(sources, folder / name));
    if (!state.view().is_dict(state.view().root())) {
      return state.bad("RS-10", "it does not hold a dictionary of tensors");
    }
    opened.push_back(std::move(state));
  }
  return opened;
}

}  // namespace ferrule::rescues
