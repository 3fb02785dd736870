// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_calls.hpp"

#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::format {

Result<void> PickleCalls::global(std::string_view module, std::string_view name) {
  if (module.size() > limits_.global_bytes || name.size() > limits_.global_bytes) {
    return limit("names a global of " + std::to_string(module.size() + name.size()) + " bytes");
  }
  auto facts = find_global(module, name);
  if (!facts && policy_ == PicklePolicy::kDcpMetadata) facts = find_dcp_global(module, name);
  if (!facts && policy_ == PicklePolicy::kTrainer) facts = find_trainer_global(module, name);
  if (!facts) {
    const std::string full = std::string(module) + "." + std::string(name);
    const auto why = notorious_global(module, name);
    const auto threat = threat_of(module, name);
    std::string what =
        "names " + quote(full) + ", which is not on the list of what a state dict needs";
    if (!why.empty()) what += "; it " + std::string(why);
    if (threat == GlobalThreat::kTrainingState) what += "; trainers write it";
    FERRULE_CHECK(forbidden("PK-3", full, what, threat));
  }
  FERRULE_CHECK(spend());
  const PickleValue value(Kind::kGlobal, pickle_.globals_.size());
  pickle_.globals_.push_back({.module = module,
                              .name = name,
                              .facts = facts.value_or(GlobalFacts{}),
                              .offset = op_.offset});
  return push(value);
}

Result<void> PickleCalls::stack_global() {
  FERRULE_TRY(const auto name, pop());
  FERRULE_TRY(const auto module, pop());
  if (name.kind == Kind::kString && module.kind == Kind::kString) {
    return global(module.string(), name.string());
  }
  if (is_strict()) return corrupt("PK-3", "names a global by no two strings");
  FERRULE_CHECK(forbidden("PK-3", {}, "names a global by computed values"));
  return push_node(Kind::kCall, {});
}

/// PK-21: Python 3.11 writes a member of an enumeration as getattr(CLASS, "NAME").
Result<void> PickleCalls::check_attribute(const PickleValue& callable,
                                          const PickleValue& arguments) const {
  if (callable.kind != Kind::kGlobal || pickle_.global(callable).name != "getattr") return {};
  if (arguments.kind == Kind::kTuple) {
    const auto& given = pickle_.node(arguments).items;
    if (given.size() == 2 && given[0].kind == Kind::kGlobal && given[1].kind == Kind::kString) {
      return {};
    }
  }
  return corrupt("PK-21", "looks up an attribute of something else than a class by its name");
}

Result<void> PickleCalls::call(const PickleValue& callable, const PickleValue& arguments) {
  if (policy_ == PicklePolicy::kTrainer) FERRULE_CHECK(check_attribute(callable, arguments));
  if (callable.kind != Kind::kGlobal) {
    // A stand-in for something already noted; anything else Python cannot call either.
    if (is_strict() || callable.kind != Kind::kCall) {
      return corrupt("PK-8", "calls " + std::string(describe(callable.kind)));
    }
    FERRULE_CHECK(forbidden("PK-8", {}, "calls the result of a call"));
  } else if (arguments.kind != Kind::kTuple && is_strict()) {
    return corrupt("PK-8", "gets " + std::string(describe(arguments.kind)) +
                               " where a tuple of arguments belongs");
  } else if (pickle_.global(callable).facts.id == GlobalId::kOrderedDict) {
    return ordered_dict(arguments);
  }
  if (callable.kind == Kind::kCall || pickle_.global(callable).facts.id == GlobalId::kUnknown) {
    ++calls_;
  }
  return push_node(Kind::kCall, {callable, arguments});
}

Result<void> PickleCalls::ordered_dict(const PickleValue& arguments) {
  const auto bad = [this] {
    return corrupt("PK-8", "makes a collections.OrderedDict of something else than pairs");
  };
  if (arguments.kind != Kind::kTuple) return bad();
  const auto& given = pickle_.node(arguments).items;
  if (given.empty()) return push_node(Kind::kDict, {});
  if (given.size() != 1 || given[0].kind != Kind::kList) return bad();
  std::vector<PickleValue> items;
  for (const auto& pair : pickle_.node(given[0]).items) {
    if (pair.kind != Kind::kList && pair.kind != Kind::kTuple) return bad();
    const auto& both = pickle_.node(pair).items;
    if (both.size() != 2) return bad();
    items.insert(items.end(), both.begin(), both.end());
  }
  // The same list may be used again and again: what is copied is paid for.
  for (std::size_t i = 0; i < items.size(); i += 2) FERRULE_CHECK(spend());
  return push_node(Kind::kDict, std::move(items));
}

Result<void> PickleCalls::build() {
  FERRULE_TRY(const auto state, pop());
  FERRULE_TRY(const auto* object, top());
  if (object->kind == Kind::kDict) {
    if (state.kind == Kind::kDict || !is_strict()) return {};
    return corrupt("PK-8", "gives a dict a state that is " + std::string(describe(state.kind)));
  }
  if (object->kind == Kind::kCall) return extend(*object, std::span(&state, 1));
  if (object->kind == Kind::kGlobal) {
    const auto& target = pickle_.global(*object);
    const std::string full = std::string(target.module) + "." + std::string(target.name);
    return forbidden("PK-8", full, "changes attributes of " + quote(full) + " itself",
                     GlobalThreat::kDangerous);
  }
  if (!is_strict()) return {};
  return corrupt("PK-8", "sets attributes of " + std::string(describe(object->kind)));
}

Result<void> PickleCalls::persistent(const PickleValue& id) {
  FERRULE_TRY(const auto value, make_node(Kind::kPersistent, {id}));
  pickle_.persistent_ids_.push_back(value);
  return push(value);
}

}  // namespace ferrule::format
