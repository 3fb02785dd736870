// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/model_guess.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "exchange/dialects/image/model_names.hpp"

namespace ferrule::exchange {
namespace {

std::uint64_t extent(const TensorView* tensor, std::size_t axis) {
  return tensor == nullptr || tensor->shape().size() <= axis ? 0 : tensor->shape()[axis];
}

/// 0 if it does not fit into 64 bits.
std::uint64_t product(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > UINT64_MAX / a ? 0 : a * b;
}

/// A name with its first number taken out, if something is behind it: all blocks are alike.
std::string kind_of(const NamedModule& module) {
  const std::string_view name = module.name;
  std::size_t at = 0;
  while (at < name.size() && !base::is_digit(name[at])) ++at;
  auto end = at;
  while (end < name.size() && base::is_digit(name[end])) ++end;
  std::string out(name);
  if (end < name.size()) out.replace(at, end - at, "*");
  return out + (module.flat ? "_" : ".");
}

/// One module of each kind.
std::vector<const NamedModule*> one_of_each(std::span<const NamedModule> modules) {
  std::set<std::string> seen;
  std::vector<const NamedModule*> out;
  for (const auto& module : modules) {
    if (seen.insert(kind_of(module)).second) out.push_back(&module);
  }
  return out;
}

/// A model, and what it makes of each name.
struct Candidate {
  const ImageModel* model = nullptr;
  std::vector<std::optional<FusedModule>> found = {};
  std::size_t score = 0;

  bool agrees(const Candidate& other) const {
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] && other.found[i] && !found[i]->same_as(*other.found[i])) return false;
    }
    return true;
  }
};

Candidate look_up(const ImageModel& model, std::span<const NamedModule* const> modules) {
  Candidate out{.model = &model};
  for (const auto* module : modules) {
    auto found = modules_called(module->name, model, module->flat);
    out.found.push_back(found.empty() ? std::nullopt : std::optional(std::move(found.front())));
    if (has_size_of(module->name, model, module->flat, module->rows, module->columns)) ++out.score;
  }
  return out;
}

/// Those that have every module that any model has.
std::vector<Candidate> complete(std::vector<Candidate> all) {
  if (all.empty()) return {};
  const auto count = all.front().found.size();
  std::vector<bool> known(count);
  for (const auto& one : all) {
    for (std::size_t i = 0; i < count; ++i) known[i] = known[i] || one.found[i].has_value();
  }
  if (std::find(known.begin(), known.end(), true) == known.end()) return {};
  std::erase_if(all, [&](const Candidate& one) {
    for (std::size_t i = 0; i < count; ++i) {
      if (known[i] && !one.found[i]) return true;
    }
    return false;
  });
  return all;
}

}  // namespace

std::pair<std::uint64_t, std::uint64_t> size_of(const RawModule& module) {
  if (const auto* diff = module.find("diff")) return {extent(diff, 0), extent(diff, 1)};
  if (module.find("hada_w1_a") != nullptr) {
    return {extent(module.find("hada_w1_a"), 0), extent(module.find("hada_w1_b"), 1)};
  }
  const auto* first = module.find("lokr_w1");
  const auto* second = module.find("lokr_w2");
  const auto* first_b = first == nullptr ? module.find("lokr_w1_b") : first;
  const auto* second_b = second == nullptr ? module.find("lokr_w2_b") : second;
  if (first_b != nullptr && second_b != nullptr) {
    if (first == nullptr) first = module.find("lokr_w1_a");
    if (second == nullptr) second = module.find("lokr_w2_a");
    return {product(extent(first, 0), extent(second, 0)),
            product(extent(first_b, 1), extent(second_b, 1))};
  }
  return {extent(module.find("up"), 0), extent(module.find("down"), 1)};
}

const ImageModel* model_by_names(std::span<const NamedModule> modules) {
  const auto kinds = one_of_each(modules);
  const bool of_image = std::all_of(modules.begin(), modules.end(),
                                    [](const NamedModule& module) { return module.of_image; });
  std::vector<Candidate> all;
  for (const auto* model : all_image_models()) {
    if (!model->must_be_named || of_image) all.push_back(look_up(*model, kinds));
  }
  auto candidates = complete(std::move(all));
  if (candidates.empty()) return nullptr;
  std::size_t best = 0;
  for (const auto& one : candidates) best = std::max(best, one.score);
  std::erase_if(candidates, [&](const Candidate& one) { return one.score != best; });
  std::vector<Candidate> apart;
  for (auto& one : candidates) {
    const bool same = std::any_of(apart.begin(), apart.end(),
                                  [&](const Candidate& other) { return one.agrees(other); });
    if (!same) apart.push_back(std::move(one));
  }
  if (apart.size() == 1) return apart.front().model;
  // Flux 2 took over Flux's names. Of both, only Flux 2's LoKr is known to be in them.
  if (apart.size() == 2 && apart[0].model->name == "flux" && apart[1].model->name == "flux2") {
    const bool kronecker = std::any_of(modules.begin(), modules.end(),
                                       [](const NamedModule& module) { return module.kronecker; });
    return apart[kronecker ? 1 : 0].model;
  }
  return nullptr;
}

const ImageModel* model_by_paths(std::span<const std::string> paths) {
  const ImageModel* found = nullptr;
  for (const auto* model : all_image_models()) {
    if (model->must_be_named) continue;
    const bool all = std::all_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return to_original(path, *model).has_value();
    });
    if (!all) continue;
    if (found == nullptr) {
      found = model;
      continue;
    }
    for (const auto& path : paths) {
      if (to_original(path, *found)->path != to_original(path, *model)->path) return nullptr;
    }
  }
  return found;
}

}  // namespace ferrule::exchange
