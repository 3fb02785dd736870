// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/whole_layers.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::uint64_t kMaxLayers = 10000;
/// Of one switch: more than any model has.
constexpr std::uint64_t kMaxModules = 500000;

/// Where a module's sites are: its name below the layer, the layer's number, the site.
using Found = std::map<std::string, std::map<std::uint64_t, std::size_t>, std::less<>>;

Found find_modules(std::span<const Site> sites, std::string_view layers) {
  Found found;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    std::string_view path = sites[i].path;
    if (!path.starts_with(layers)) continue;
    path.remove_prefix(layers.size());
    const auto dot = path.find('.');
    if (dot == std::string_view::npos || dot > 5 || !base::is_number(path.substr(0, dot))) continue;
    std::uint64_t layer = 0;
    std::from_chars(path.data(), path.data() + dot, layer);
    found[std::string(path.substr(dot + 1))][layer] = i;
  }
  return found;
}

std::uint64_t layer_count(const Found& found, const BaseFacts& base) {
  std::uint64_t count = 0;
  for (const auto& [name, places] : found) count = std::max(count, places.rbegin()->first + 1);
  if (const auto* model = base.model()) {
    const auto said = model->integer("num_hidden_layers");
    if (said && *said > 0) count = std::max(count, static_cast<std::uint64_t>(*said));
  }
  return std::min(count, kMaxLayers);
}

/// {in, out} of a module: as in another layer, or as a neighbor has it.
std::optional<std::pair<std::uint64_t, std::uint64_t>> size_of(const LayerModule& module,
                                                               const LayerSwitch& neighbors,
                                                               const Found& found,
                                                               std::span<const Site> sites) {
  const auto at =
      [&](const LayerModule& one) -> std::optional<std::pair<std::uint64_t, std::uint64_t>> {
    const auto places = found.find(one.name);
    if (places == found.end()) return std::nullopt;
    const auto& site = sites[places->second.begin()->second];
    return std::pair(site.a.dim(1), site.b.dim(0));
  };
  if (const auto own = at(module)) return own;
  if (module.size.first != 0 && module.size.second != 0) return module.size;
  for (const auto& neighbor : neighbors) {
    const auto other = at(neighbor);
    if (!other || neighbor.size.first != 0) continue;
    if (neighbor.is_last == module.is_last) return other;
    return std::pair(other->second, other->first);
  }
  return std::nullopt;
}

Site zeros_at(std::string path, std::pair<std::uint64_t, std::uint64_t> size, const Site& like) {
  Site site;
  site.path = std::move(path);
  site.a = Values::zeros(like.a.dtype(), {1, size.first});
  site.b = Values::zeros(like.b.dtype(), {size.second, 1});
  site.rank = 1;
  site.scale = like.scale;
  return site;
}

}  // namespace

Result<void> complete_layers(std::vector<Site>& sites, std::string_view layers,
                             std::span<const LayerSwitch> switches, const BaseFacts& base,
                             std::string_view program) {
  const auto found = find_modules(sites, layers);
  const auto count = layer_count(found, base);
  const bool dora = std::any_of(sites.begin(), sites.end(),
                                [](const Site& site) { return !site.magnitude.empty(); });
  std::vector<Site> zeros;
  for (const auto& modules : switches) {
    const bool is_on = std::any_of(modules.begin(), modules.end(), [&](const LayerModule& module) {
      return found.find(module.name) != found.end();
    });
    if (!is_on) continue;
    if (modules.size() > kMaxModules / std::max<std::uint64_t>(count, 1)) {
      return base::unsupported("EX-9", "the base has " + std::to_string(count) + " layers of " +
                                           std::to_string(modules.size()) +
                                           " modules, more than any model");
    }
    for (const auto& module : modules) {
      const auto places = found.find(module.name);
      const auto size = size_of(module, modules, found, sites);
      for (std::uint64_t layer = 0; layer < count; ++layer) {
        if (places != found.end() && places->second.contains(layer)) continue;
        auto path = std::string(layers) + std::to_string(layer) + "." + module.name;
        if (dora || !size) {
          return base::unsupported(
              "EX-3",
              std::string(program) + " has " + quote(path) +
                  " wherever it has its neighbors, and the adapter does not" +
                  (dora ? "; a magnitude of DoRA for it depends on the base's weights" : ""));
        }
        zeros.push_back(zeros_at(std::move(path), *size, sites.front()));
      }
    }
  }
  sites.insert(sites.end(), std::make_move_iterator(zeros.begin()),
               std::make_move_iterator(zeros.end()));
  return {};
}

}  // namespace ferrule::exchange
