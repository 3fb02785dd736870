// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

#include "adapter/examine.hpp"
#include "base/checked.hpp"
#include "base/tensor_view_access.hpp"
#include "check/adapter_match.hpp"
#include "check/expert_match.hpp"
#include "check/live_config.hpp"
#include "edit/fix_keys.hpp"
#include "edit/retarget.hpp"
#include "peft/method.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::edit {

/// A tensor that the adapter did not have; the views of an entry point into it.
struct MadeTensor {
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> bytes;
};

namespace {

using checks::ExpertGroups;

/// One expert's factors, all of one dtype.
struct Factors {
  TensorView a;
  TensorView b;
};

/// The factors of a fused parameter, by source and expert.
struct Parts {
  std::vector<std::vector<Factors>> sources;
  Dtype dtype = Dtype::kF32;
  std::uint64_t experts = 0;
  std::uint64_t in = 0;
  std::uint64_t out = 0;  ///< Of one source.
  std::vector<std::uint64_t> ranks;
  std::uint64_t rank = 0;  ///< Of all sources together.
};

/// The number of the expert in "...experts.3.w1".
std::uint64_t expert_number(std::string_view path) {
  std::uint64_t number = 0;
  for (const auto part : peft::split(path)) {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (failed == std::errc() && end == part.data() + part.size()) number = value;
  }
  return number;
}

/// Sorts the members out; nullopt unless they make a whole set of one dtype that fits the base.
std::optional<Parts> sort_out(const ExpertGroups::Group& group, const model::BaseTensor* fused) {
  if (fused == nullptr || !fused->shape_known || fused->shape.size() != 3) return std::nullopt;
  Parts parts;
  parts.experts = fused->shape[0];
  parts.in = fused->shape[2];
  parts.out = fused->shape[1] / group.sources;
  parts.sources.resize(group.sources);
  parts.ranks.resize(group.sources);
  auto members = group.members;
  std::sort(members.begin(), members.end(), [](const auto& x, const auto& y) {
    return expert_number(x.module->path()) < expert_number(y.module->path());
  });
  bool first = true;
  for (const auto& member : members) {
    const auto a = member.module->tensor("lora_A");
    const auto b = member.module->tensor("lora_B");
    if (!a || !b || a->shape().size() != 2 || b->shape().size() != 2) return std::nullopt;
    if (std::exchange(first, false)) parts.dtype = a->dtype();
    auto& rank = parts.ranks[member.source];
    if (rank == 0) rank = a->shape()[0];
    const bool fits = a->shape()[0] == rank && a->shape()[1] == parts.in &&
                      b->shape()[0] == parts.out && b->shape()[1] == rank &&
                      a->dtype() == parts.dtype && b->dtype() == parts.dtype;
    if (!fits || rank == 0 ||
        expert_number(member.module->path()) != parts.sources[member.source].size()) {
      return std::nullopt;
    }
    parts.sources[member.source].push_back({*a, *b});
  }
  for (std::size_t i = 0; i < group.sources; ++i) {
    if (parts.sources[i].size() != parts.experts) return std::nullopt;
    parts.rank += parts.ranks[i];
  }
  return parts;
}

std::optional<MadeTensor> make(std::uint64_t rows, std::uint64_t columns, std::uint64_t size) {
  const auto count = base::checked_mul(rows, columns);
  const auto bytes = count ? base::checked_mul(*count, size) : std::nullopt;
  if (!bytes) return std::nullopt;
  return MadeTensor{{rows, columns}, std::vector<std::byte>(static_cast<std::size_t>(*bytes))};
}

/// A of all experts: expert by expert, in each the sources one below the other.
std::optional<MadeTensor> stack_a(const Parts& parts, std::uint64_t size) {
  auto made = make(parts.experts * parts.rank, parts.in, size);
  if (!made) return std::nullopt;
  auto* at = made->bytes.data();
  for (std::uint64_t expert = 0; expert < parts.experts; ++expert) {
    for (const auto& source : parts.sources) {
      const auto bytes = source[expert].a.bytes();
      std::memcpy(at, bytes.data(), bytes.size());
      at += bytes.size();
    }
  }
  return made;
}

/// B of all experts: columns by rank, in each rank by expert, and zero outside the source's rows.
std::optional<MadeTensor> stack_b(const Parts& parts, std::uint64_t size) {
  const auto sources = static_cast<std::uint64_t>(parts.sources.size());
  auto made = make(parts.out * sources, parts.rank * parts.experts, size);
  if (!made) return std::nullopt;
  std::uint64_t before = 0;  // Ranks of the sources before.
  for (std::uint64_t s = 0; s < sources; ++s) {
    for (std::uint64_t expert = 0; expert < parts.experts; ++expert) {
      const auto bytes = parts.sources[s][expert].b.bytes();
      for (std::uint64_t row = 0; row < parts.out; ++row) {
        for (std::uint64_t rank = 0; rank < parts.ranks[s]; ++rank) {
          const auto column = (before + rank) * parts.experts + expert;
          const auto to = ((s * parts.out + row) * parts.rank * parts.experts + column) * size;
          std::memcpy(made->bytes.data() + to, bytes.data() + (row * parts.ranks[s] + rank) * size,
                      size);
        }
      }
    }
    before += parts.ranks[s];
  }
  return made;
}

/// The end of a parameter's path that names it and its container: "experts.down_proj".
std::string short_name(const std::string& path) {
  const auto dot = path.rfind('.', path.rfind('.') - 1);
  return dot == std::string::npos ? path : path.substr(dot + 1);
}

}  // namespace

/// The fused form of an adapter whose experts are one by one, if every container of it can be
/// fused; else nothing changes.
class ExpertFuser {
 public:
  ExpertFuser(const AdapterConfig& config, const model::BaseIndex& base, const ExpertGroups& groups)
      : config_(config), base_(base), groups_(groups) {}

  bool run() {
    for (const auto& [path, container] : groups_.containers()) {
      if (base_.kind_of(path).letter == 'T') return false;
      const bool both = !container.pair.members.empty() && !container.down.members.empty();
      const auto inner = both ? path + ".base_layer" : path;
      if (!fuse(path + ".gate_up_proj", inner, container.pair) ||
          !fuse(path + ".down_proj", path, container.down)) {
        return false;
      }
    }
    return true;
  }

  struct Tensor {
    std::string key;
    Dtype dtype;
    std::shared_ptr<const MadeTensor> made;
  };
  std::vector<Tensor> tensors;
  /// By the path of the parameter.
  std::map<std::string, Wanted> wanted;

 private:
  bool fuse(const std::string& parameter, const std::string& place,
            const ExpertGroups::Group& group) {
    if (group.members.empty()) return true;
    const auto parts = sort_out(group, base_.find(parameter));
    if (!parts) return false;
    std::optional<double> strength;
    for (const auto& member : group.members) {
      const auto was = resolve_strength(config_, member.module->path());
      if (!was || !was->strength || (strength && *strength != *was->strength)) return false;
      strength = was->strength;
    }
    constexpr std::uint64_t kOne[] = {1};
    const auto size = byte_size(parts->dtype, kOne).value_or(0);
    if (size == 0) return false;
    auto a = stack_a(*parts, size);
    auto b = stack_b(*parts, size);
    if (!a || !b) return false;
    const auto key = std::string(peft::kModelPrefix) + place;
    tensors.push_back(
        {key + ".lora_A.weight", parts->dtype, std::make_shared<const MadeTensor>(std::move(*a))});
    tensors.push_back(
        {key + ".lora_B.weight", parts->dtype, std::make_shared<const MadeTensor>(std::move(*b))});
    wanted[parameter] = {static_cast<double>(parts->rank), *strength};
    return true;
  }

  const AdapterConfig& config_;
  const model::BaseIndex& base_;
  const ExpertGroups& groups_;
};

void KeyFixer::fuse_experts(const model::BaseIndex& base) {
  if (config_.peft_type() != "LORA" || !base.names.renames_adapters() || config_.use_dora() ||
      config_.flag("lora_bias")) {
    return;
  }
  std::vector<NamedTensor> views;
  for (const auto& entry : entries_) views.push_back({entry.key, entry.tensor});
  const auto examined = AdapterAccess::examine(config_, views);
  const auto live = checks::live_config(config_, base);
  if (!live) return;
  const auto targets = peft::TargetRule::compile(live->config);
  if (!targets) return;
  ExpertGroups groups(config_, *live, base, *targets);
  Moves adapted;  // Tensors that are not experts keep their place.
  std::set<std::string> gone;
  for (const auto& module : examined.modules) {
    const auto a = module.tensor("lora_A");
    if (!a) continue;
    const auto path = std::string(module.path());
    const auto renamed = base.names.rename_adapter_key(path + ".lora_A.weight");
    if (!renamed) return;
    if (renamed->converter == nullptr) {
      adapted.emplace(path, renamed->name.substr(0, renamed->name.rfind(".lora_")));
      continue;
    }
    groups.add(*renamed, module, 0);
    gone.insert(path);
  }
  if (gone.empty()) return;
  ExpertFuser fuser(config_, base, groups);
  if (!fuser.run()) return;
  put_fused(base, fuser, adapted, gone);
}

/// Writes config and keys of the fused form.
void KeyFixer::put_fused(const model::BaseIndex& base, const ExpertFuser& fuser,
                         const Moves& adapted, const std::set<std::string>& gone) {
  auto wanted = fuser.wanted;
  std::set<std::string> parameters;
  for (const auto& [path, want] : wanted) parameters.insert(short_name(path));
  Json::Array modules;
  for (const auto& [path, live] : adapted) {
    const auto was = resolve_strength(config_, path);
    if (!was || !was->rank || !was->strength) return;
    const auto kind = base.kind_of(live).letter;
    const bool layer = kind == '?' || kind == 'L' || kind == 'C' || kind == 'E';
    const auto target = layer ? live : live + ".weight";
    wanted[target] = {*was->rank, *was->strength};
    if (layer) {
      modules.emplace_back(live);
    } else {
      parameters.insert(short_name(target));
    }
  }
  Json::Array list;
  for (const auto& name : parameters) list.emplace_back(name);
  auto config = config_;
  bool done = set_strengths(config, wanted) &&
              config.set("target_modules", Json(std::move(modules))) &&
              config.set("target_parameters", Json(std::move(list)));
  for (const auto* field : {"exclude_modules", "layers_to_transform", "layers_pattern"}) {
    done = done && (config.find(field) == nullptr || config.set(field, Json()));
  }
  if (!done) return;
  config_ = std::move(config);
  config_changed_ = keys_changed_ = true;
  const auto path_of = [](const Entry& entry) {
    const auto at = entry.key.rfind(".lora_");
    return at == std::string::npos || !entry.key.starts_with(peft::kModelPrefix)
               ? std::string()
               : entry.key.substr(peft::kModelPrefix.size(), at - peft::kModelPrefix.size());
  };
  const auto before = entries_.size();
  std::erase_if(entries_, [&](const Entry& entry) { return gone.contains(path_of(entry)); });
  fixed_["fused-experts"] = {before - entries_.size(),
                             "fused single experts into the parameters that the base has"};
  for (auto& entry : entries_) {
    const auto path = path_of(entry);
    const auto found = adapted.find(path);
    if (found == adapted.end() || found->second == path) continue;
    rename(entry,
           std::string(peft::kModelPrefix) + found->second +
               entry.key.substr(peft::kModelPrefix.size() + path.size()),
           "base-names");
  }
  for (const auto& [key, dtype, made] : fuser.tensors) {
    entries_.push_back({key, TensorViewAccess::unchecked(dtype, made->shape, made->bytes), made});
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& x, const Entry& y) { return x.key < y.key; });
  refuse_collisions();
}

}  // namespace ferrule::edit
