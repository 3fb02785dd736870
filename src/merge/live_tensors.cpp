// SPDX-License-Identifier: Apache-2.0
#include "merge/live_tensors.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/try.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::merging {
namespace {

using Converter = model::TransformersNames::Converter;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "experts.2" before "experts.10".
bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto run = [](std::string_view text, std::size_t& at) {
      const auto start = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      auto digits = text.substr(start, at - start);
      while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
      return digits;
    };
    const auto x = run(a, i);
    const auto y = run(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  return a.size() - i < b.size() - j;
}

/// Tensors that one converter makes parameters of.
struct Gathered {
  const Converter* converter = nullptr;
  std::vector<std::vector<const DiskTensor*>> sources;
};

std::size_t extent(const DiskTensor& tensor, std::size_t axis) {
  return axis < tensor.shape().size() ? static_cast<std::size_t>(tensor.shape()[axis]) : 1;
}

/// The operations as far as they are followed: stacking, putting rows one after another,
/// transposing the matrices, taking rows apart. Not those that put rows in another order.
struct Operations {
  bool stacks = false;
  bool joins_rows = false;
  bool transposes = false;
  bool chunks = false;
};

std::optional<Operations> follow(std::string_view text, std::size_t rank) {
  Operations out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto next = [&] { return ++i < text.size() ? text[i] : '?'; };
    switch (text[i]) {
      case 'm':
        if (next() != '0' || out.joins_rows || out.transposes) return std::nullopt;
        out.stacks = true;
        break;
      case 'c': {
        const char axis = next();
        if (out.transposes || axis != (out.stacks || rank == 3 ? '1' : '0')) return std::nullopt;
        out.joins_rows = true;
        break;
      }
      case 'h':
        if (next() != '0' || out.stacks || out.joins_rows || out.transposes) return std::nullopt;
        out.chunks = true;
        break;
      case 't': {
        const char a = next();
        const char b = next();
        const char first = out.stacks || rank == 3 ? '1' : '0';
        if (std::min(a, b) != first || std::max(a, b) != first + 1) return std::nullopt;
        out.transposes = !out.transposes;
        break;
      }
      default:
        return std::nullopt;
    }
  }
  return out;
}

/// The parts of the parameter that is number `target` of those that the converter makes.
std::optional<std::vector<Part>> parts_of(const Gathered& gathered, std::size_t target) {
  const DiskTensor* any = nullptr;
  for (const auto& source : gathered.sources) {
    if (source.empty()) return std::nullopt;
    if (any == nullptr) any = source.front();
  }
  if (any == nullptr) return std::nullopt;
  const auto rank = any->shape().size();
  const auto operations = follow(gathered.converter->operations, rank);
  if (!operations) return std::nullopt;
  std::vector<Part> parts;
  if (operations->chunks) {
    if (gathered.sources.size() != 1 || gathered.sources[0].size() != 1) return std::nullopt;
    const auto targets = gathered.converter->targets.size();
    const auto rows = extent(*any, 0) / targets;
    parts.push_back({.disk = any, .disk_row = target * rows, .rows = rows});
    return parts;
  }
  std::size_t row = 0;
  for (const auto& source : gathered.sources) {
    if (!operations->stacks && !operations->joins_rows && source.size() != 1) return std::nullopt;
    for (std::size_t i = 0; i < source.size(); ++i) {
      Part part{.disk = source[i], .transposed = operations->transposes};
      part.expert = operations->stacks ? i : 0;
      part.row = row;
      // Rows are counted before the matrices are transposed, which is the last operation.
      part.rows = extent(*source[i], operations->stacks || rank == 2 ? 0 : 1);
      if (operations->joins_rows && !operations->stacks) row += part.rows;
      parts.push_back(part);
    }
    if (operations->joins_rows && operations->stacks) row += extent(*source.front(), 0);
  }
  const bool single = parts.size() == 1 && !operations->stacks;
  if (single && !operations->transposes) parts.front().is_whole = true;
  return parts;
}

/// The name without wrappers, as a state dict of a PEFT model has it.
std::string plain_name(const std::string& name) {
  std::string out = name;
  if (out.starts_with(peft::kModelPrefix)) out.erase(0, peft::kModelPrefix.size());
  constexpr std::string_view kBaseLayer = ".base_layer";
  for (auto at = out.find(kBaseLayer); at != std::string::npos; at = out.find(kBaseLayer)) {
    out.erase(at, kBaseLayer.size());
  }
  return out;
}

/// The name as the index settled it: with the model's prefix, or without.
std::string settle(const model::BaseIndex& base, std::string name) {
  const auto known = [&](const std::string& candidate) {
    const auto* found = base.find(candidate);
    return found != nullptr && found->name == candidate;
  };
  if (known(name)) return name;
  const auto* row = base.names.model_class();
  if (row == nullptr || row->prefix.empty()) return name;
  const auto prefix = std::string(row->prefix) + ".";
  if (known(prefix + name)) return prefix + name;
  if (name.starts_with(prefix) && known(name.substr(prefix.size()))) {
    return name.substr(prefix.size());
  }
  return name;
}

}  // namespace

Result<LiveTensors> LiveTensors::read(const BaseFiles& files, const model::BaseIndex& base) {
  LiveTensors out;
  std::map<std::string, Gathered> gathered;
  const auto add_whole = [&](std::string name, const DiskTensor& tensor) {
    auto& live = out.tensors_[settle(base, std::move(name))];
    live.shape.assign(tensor.shape().begin(), tensor.shape().end());
    live.parts = {{.disk = &tensor, .is_whole = true}};
  };
  for (const auto& tensor : files.tensors()) {
    if (base.names.empty()) {
      add_whole(plain_name(tensor.name), tensor);
      continue;
    }
    FERRULE_TRY(auto renamed, base.names.rename(tensor.name));
    if (renamed.converter == nullptr) {
      add_whole(std::move(renamed.name), tensor);
      continue;
    }
    auto& group = gathered[renamed.name];
    group.converter = renamed.converter;
    group.sources.resize(renamed.converter->sources);
    group.sources[renamed.source].push_back(&tensor);
  }
  for (auto& [name, group] : gathered) {
    for (auto& source : group.sources) {
      std::sort(source.begin(), source.end(), [](const DiskTensor* a, const DiskTensor* b) {
        return natural_less(a->name, b->name);
      });
    }
    for (std::size_t i = 0; i < group.converter->targets.size(); ++i) {
      auto live_name = name;
      const auto at = i == 0 ? std::string::npos : live_name.find(group.converter->targets[0]);
      if (at != std::string::npos) {
        live_name.replace(at, group.converter->targets[0].size(), group.converter->targets[i]);
      }
      live_name = settle(base, std::move(live_name));
      auto& live = out.tensors_[live_name];
      if (const auto* known = base.find(live_name)) live.shape = known->shape;
      auto parts = parts_of(group, i);
      live.is_known = parts.has_value() && !live.shape.empty();
      if (parts) live.parts = std::move(*parts);
    }
  }
  return out;
}

const LiveTensor* LiveTensors::find(std::string_view name) const noexcept {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const DiskTensor* LiveTensors::whole(std::string_view name) const noexcept {
  const auto* live = find(name);
  const bool is_one = live != nullptr && live->parts.size() == 1 && live->parts.front().is_whole;
  return is_one ? live->parts.front().disk : nullptr;
}

}  // namespace ferrule::merging
