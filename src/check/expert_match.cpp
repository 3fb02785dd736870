// SPDX-License-Identifier: Apache-2.0
#include "check/expert_match.hpp"

#include <utility>

#include "check/method_shapes.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {

void ExpertGroups::add(const model::TransformersNames::Renamed& renamed,
                       const AdapterModule& module, std::size_t place) {
  auto& group = groups_[renamed.name];
  group.sources = renamed.converter->sources;
  group.members.push_back({&module, place, renamed.source});
}

std::vector<ExpertGroups::Settled> ExpertGroups::settle() const {
  std::vector<Settled> out;
  for (const auto& [target, group] : groups_) settle_group(target, group, out);
  return out;
}

void ExpertGroups::settle_group(const std::string& target, const Group& group,
                                std::vector<Settled>& out) const {
  const auto* fused = base_.find(target);
  const bool known = fused != nullptr && fused->shape_known && fused->shape.size() == 3;
  const auto experts = known ? fused->shape[0] : 0;
  std::vector<std::uint64_t> counts(group.sources);
  for (const auto& member : group.members) ++counts[member.source];
  bool whole = true;
  for (const auto count : counts) whole = whole && (known ? count == experts : count == counts[0]);
  if (!whole) {
    std::string text;
    for (const auto count : counts) text += (text.empty() ? "" : " and ") + std::to_string(count);
    const auto why = "experts are fused into " + quote(target) + " of " + std::to_string(experts) +
                     " experts, and the adapter has " + text + " of the " +
                     std::to_string(group.sources) +
                     " parts each: PEFT puts together whole sets alone";
    for (const auto& member : group.members) {
      out.push_back(
          {member.place, Standing::kAbsent,
           about(Severity::kError, "BS-5", member.module->path(), why,
                 "an adapter for every expert and all parts loads; half a pair does not")});
    }
    return;
  }
  bool said = false;
  for (const auto& member : group.members) {
    if (known) {
      const auto out_each = fused->shape[1] / group.sources;
      const BaseLayer layer{.kind = LayerKind::kLinear, .weight = {out_each, fused->shape[2]}};
      const auto a = member.module->tensor("lora_A");
      const auto b = member.module->tensor("lora_B");
      const bool fits = a && b && a->shape().size() == 2 && b->shape().size() == 2 &&
                        a->shape()[1] == layer.in() && b->shape()[0] == layer.out();
      if (!fits) {
        out.push_back(
            {member.place, Standing::kMisshapen,
             about(Severity::kError, "BS-2", member.module->path(),
                   "its factors do not fit an expert of shape " + shape_text(layer.weight))});
        continue;
      }
    }
    std::optional<Finding> note;
    if (!std::exchange(said, true)) {
      note = about(Severity::kNote, "BS-19", member.module->path(),
                   "experts one by one: PEFT fuses them into " + quote(target) + " at load");
    }
    out.push_back({member.place, Standing::kConverted, std::move(note)});
  }
}

}  // namespace ferrule::checks
