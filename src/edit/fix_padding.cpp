// SPDX-License-Identifier: Apache-2.0
// The zeros with which prepare_model_for_compiled_hotswap pads LORA's factors.
#include <memory>
#include <string>
#include <utility>

#include "base/tensor_view_access.hpp"
#include "container/tensor_plan.hpp"
#include "edit/fix_keys.hpp"
#include "peft/rank_padding.hpp"

namespace ferrule::edit {

void KeyFixer::cut_padding() {
  container::TensorPlan plan;
  plan.reserve(entries_.size());
  for (const auto& entry : entries_) plan.push_back(container::stream_of(entry.key, entry.tensor));
  const auto cut = peft::cut_rank_padding(config_, plan);
  if (!cut || *cut == 0) return;  // An expression that does not compile has its own rule.
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].owner == nullptr) continue;
    const auto made = std::make_shared<TensorStream>(std::move(plan[i]));
    entries_[i].tensor = TensorViewAccess::unchecked(made->dtype, made->shape, made->bytes);
    entries_[i].owner = made;
    ++count;
  }
  keys_changed_ = true;
  fixed_["rank-padding"] = {count, "cut the zeros past the rank (padding for hotswapping)"};
}

}  // namespace ferrule::edit
