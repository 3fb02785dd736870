// SPDX-License-Identifier: Apache-2.0
#include "check/expert_match.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "check/method_shapes.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

constexpr std::string_view kInner = ".base_layer";
constexpr std::string_view kFix = "ferrule fix --base writes the fused adapter";

std::uint64_t rank_of(const AdapterModule& module) {
  const auto a = module.tensor("lora_A");
  return a && a->shape().size() == 2 ? a->shape()[0] : 0;
}

std::string number(double value) {
  auto text = std::to_string(value);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

void ExpertGroups::add(const model::TransformersNames::Renamed& renamed,
                       const AdapterModule& module, std::size_t place) {
  auto path = renamed.name.substr(0, renamed.name.rfind(".lora_"));
  const bool inner = path.ends_with(kInner);
  if (inner) path.erase(path.size() - kInner.size());
  auto& container = containers_[path];
  auto& group = inner ? container.pair : container.down;
  group.sources = renamed.converter->sources;
  group.members.push_back({&module, place, renamed.source});
}

/// "3 and 0 of 4" where not every expert has every part; empty if it is whole.
std::string ExpertGroups::count_text(const std::string& parameter, const Group& group) const {
  const auto* fused = base_.find(parameter);
  const bool known = fused != nullptr && fused->shape_known && fused->shape.size() == 3;
  std::vector<std::uint64_t> counts(group.sources);
  for (const auto& member : group.members) ++counts[member.source];
  const auto wanted = known ? fused->shape[0] : counts.front();
  if (std::all_of(counts.begin(), counts.end(), [&](auto count) { return count == wanted; })) {
    return {};
  }
  std::string text;
  for (const auto count : counts) text += (text.empty() ? "" : " and ") + std::to_string(count);
  return text + " of " + std::to_string(wanted);
}

bool ExpertGroups::fits(const std::string& parameter, const Group& group) const {
  const auto* fused = base_.find(parameter);
  if (fused == nullptr || !fused->shape_known || fused->shape.size() != 3) return true;
  const auto out = fused->shape[1] / group.sources;
  return std::all_of(group.members.begin(), group.members.end(), [&](const Member& member) {
    const auto a = member.module->tensor("lora_A");
    const auto b = member.module->tensor("lora_B");
    return a && b && a->shape().size() == 2 && b->shape().size() == 2 &&
           a->shape()[1] == fused->shape[2] && b->shape()[0] == out &&
           a->shape()[0] == b->shape()[1];
  });
}

Result<ExpertGroups::Cause> ExpertGroups::judge_group(const std::string& parameter,
                                                      const Group& group) const {
  if (const auto counts = count_text(parameter, group); !counts.empty()) {
    return Cause{"BS-5",
                 "experts are fused into " + quote(parameter) + ", and the adapter has " + counts +
                     " experts' parts: PEFT puts together whole sets only",
                 "an adapter of every expert and all parts loads; half a pair does not"};
  }
  if (!fits(parameter, group)) {
    return Cause{"BS-2",
                 "its factors do not fit an expert of " + quote(parameter) + ", which has shape " +
                     base::shape_text(base_.find(parameter)->shape),
                 "it was trained on a model of another size"};
  }
  // PEFT looks the parameter's own path up; a config with target_parameters takes a module's.
  auto plain = live_.config;
  FERRULE_CHECK(plain.set("target_parameters", Json()));
  FERRULE_TRY(const auto now, resolve_strength(plain, parameter));
  std::vector<std::uint64_t> ranks(group.sources);
  for (const auto& member : group.members) {
    const auto rank = rank_of(*member.module);
    if (ranks[member.source] == 0) ranks[member.source] = rank;
    if (ranks[member.source] != rank) {
      return Cause{"BS-5",
                   "experts of " + quote(parameter) +
                       " have different ranks: PEFT cannot stack "
                       "their tensors",
                   "train it on the fused model"};
    }
    FERRULE_TRY(const auto then, resolve_strength(config_, member.module->path()));
    if (!then.strength || !now.strength ||
        std::abs(*then.strength - *now.strength) <= 1e-6 * std::abs(*then.strength)) {
      continue;
    }
    return Cause{"BS-26",
                 "PEFT fuses experts into " + quote(parameter) + " and gives them strength " +
                     number(*now.strength) + ", they were trained with " + number(*then.strength),
                 std::string(kFix)};
  }
  std::uint64_t sum = 0;
  for (const auto rank : ranks) sum += rank;
  if (now.rank && *now.rank != static_cast<double>(sum)) {
    return Cause{"BS-5",
                 "PEFT makes a layer of rank " + number(*now.rank) + " for " + quote(parameter) +
                     ", and the experts' factors together have rank " + std::to_string(sum) +
                     ": the sizes do not match (patterns that name single experts' parts have no "
                     "effect on it)",
                 std::string(kFix)};
  }
  return Cause{};
}

Result<ExpertGroups::Cause> ExpertGroups::judge(const std::string& path,
                                                const Container& container) const {
  const auto pair = path + ".gate_up_proj";
  const auto down = path + ".down_proj";
  if (base_.find(pair) == nullptr && base_.find(down) == nullptr) {
    return Cause{"BS-4",
                 "PEFT puts experts together into " + quote(path) +
                     ", which the base does not have: it drops the tensors",
                 {}};
  }
  const bool wants_pair = targets_.selects_parameter(pair);
  const bool wants_down = targets_.selects_parameter(down);
  const bool has_pair = !container.pair.members.empty();
  const bool has_down = !container.down.members.empty();
  if ((has_pair && !wants_pair) || (has_down && !wants_down)) {
    return Cause{"BS-5",
                 "the experts of " + quote(path) +
                     " are fused: PEFT renames the tensors, and its config does not target the "
                     "fused parameters, so they are dropped",
                 std::string(kFix)};
  }
  if (has_pair && !wants_down) {
    return Cause{"BS-5",
                 "gate and up of the experts without down: PEFT fuses them under the name that "
                 "they have if down is adapted too (base_layer), and none of them loads",
                 std::string(kFix)};
  }
  if (has_pair != wants_pair || has_down != wants_down) {
    return Cause{"BS-5",
                 "the config targets gate, up and down of the experts, and the file has only " +
                     std::string(has_pair ? "gate and up" : "down"),
                 "the file is incomplete"};
  }
  if (has_pair) {
    FERRULE_TRY(auto cause, judge_group(pair, container.pair));
    if (!cause.code.empty()) return cause;
  }
  if (has_down) return judge_group(down, container.down);
  return Cause{};
}

Result<ExpertGroups::Settled> ExpertGroups::settle() const {
  Settled out;
  std::map<std::string, std::size_t> counts;  // By code.
  bool noted = false;
  for (const auto& [path, container] : containers_) {
    FERRULE_TRY(auto cause, judge(path, container));
    const auto standing = cause.code.empty() ? Standing::kConverted : Standing::kSaid;
    std::size_t modules = 0;
    std::string_view first;
    for (const auto* group : {&container.pair, &container.down}) {
      for (const auto& member : group->members) {
        out.standings.emplace_back(member.place, standing);
        if (modules++ == 0) first = member.module->path();
      }
    }
    if (standing == Standing::kSaid) {
      if (counts[cause.code] == 0) {
        out.findings.push_back(
            about(Severity::kError, cause.code, first, cause.message, cause.advice));
      }
      counts[cause.code] += modules;
    } else if (!std::exchange(noted, true)) {
      out.findings.push_back(
          about(Severity::kNote, "BS-19", first,
                "experts one by one: PEFT fuses them into " + quote(path) + " at load"));
    }
  }
  for (auto& finding : out.findings) {
    const auto count = counts.find(finding.rule);
    if (finding.severity == Severity::kError && count != counts.end() && count->second > 1) {
      finding.message += " (" + std::to_string(count->second) + " modules)";
    }
  }
  return out;
}

}  // namespace ferrule::checks
