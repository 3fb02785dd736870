// SPDX-License-Identifier: Apache-2.0
// Methods whose tensors stay as they are, and whole files.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/module_parts.hpp"
#include "exchange/dialects/image/site_reader.hpp"
#include "exchange/low_rank.hpp"
#include "exchange/proof.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

/// Two files of one update in other spellings differ by roundings alone.
constexpr double kSameUpdate = 1e-3;

std::uint64_t product_from(const Values& values, std::size_t axis) {
  std::uint64_t count = 1;
  for (std::size_t i = axis; i < values.shape().size(); ++i) count *= values.dim(i);
  return count;
}

/// Rows and columns (with the kernel) of the update.
std::pair<std::uint64_t, std::uint64_t> size_of_update(const Site& site) {
  const auto at = [&](const char* role) -> const Values& { return site.others.find(role)->second; };
  const auto has = [&](const char* role) { return site.others.contains(role); };
  if (site.method == "LOHA") {
    if (has("hada_t1")) {
      return {at("hada_w1_a").dim(1), at("hada_w1_b").dim(1) * product_from(at("hada_t1"), 2)};
    }
    return {at("hada_w1_a").dim(0), at("hada_w1_b").dim(1)};
  }
  const bool whole1 = has("lokr_w1"), whole2 = has("lokr_w2"), core = has("lokr_t2");
  const auto rows1 = at(whole1 ? "lokr_w1" : "lokr_w1_a").dim(0);
  const auto columns1 = at(whole1 ? "lokr_w1" : "lokr_w1_b").dim(1);
  const auto rows2 = at(whole2 ? "lokr_w2" : "lokr_w2_a").dim(!whole2 && core ? 1 : 0);
  auto columns2 = whole2 ? product_from(at("lokr_w2"), 1) : at("lokr_w2_b").dim(1);
  if (!whole2 && core) columns2 *= product_from(at("lokr_t2"), 2);
  return {rows1 * rows2, columns1 * columns2};
}

}  // namespace

Result<void> SiteReader::add_hada(const RawModule& module, const Placed& placed) {
  Site site;
  site.method = "LOHA";
  for (const auto* leaf : {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}) {
    const auto* tensor = module.find(leaf);
    if (tensor == nullptr || tensor->shape().size() != 2 || tensor->shape()[0] == 0) {
      return bad(module, std::string("does not have a matrix ") + leaf);
    }
    site.others[leaf] = Values::of(*tensor);
  }
  for (const auto* leaf : {"hada_t1", "hada_t2"}) {
    if (const auto* tensor = module.find(leaf)) site.others[leaf] = Values::of(*tensor);
  }
  const bool core = site.others.contains("hada_t1");
  if (core != site.others.contains("hada_t2")) return bad(module, "has only one of its two cores");
  site.rank = site.others["hada_w1_b"].dim(0);
  if (site.others["hada_w1_a"].dim(core ? 0 : 1) != site.rank ||
      site.others["hada_w2_a"].dim(core ? 0 : 1) != site.others["hada_w2_b"].dim(0)) {
    return bad(module, "has factors of LoHa that do not fit each other");
  }
  FERRULE_TRY(const auto alpha, alpha_in(module));
  set_scale(site, alpha);
  return add_kept(module, placed, std::move(site));
}

Result<void> SiteReader::add_lokr(const RawModule& module, const Placed& placed) {
  Site site;
  site.method = "LOKR";
  for (const auto& [leaf, tensor] : module.leaves) {
    if (!leaf.starts_with("lokr_")) continue;
    if (tensor.shape().size() < 2 || tensor.shape()[0] == 0 || tensor.shape()[1] == 0) {
      return bad(module, "has no matrix " + leaf);
    }
    site.others[leaf] = Values::of(tensor);
  }
  const auto has = [&](const char* leaf) { return site.others.contains(leaf); };
  const bool first = has("lokr_w1") != (has("lokr_w1_a") && has("lokr_w1_b"));
  const bool second = has("lokr_w2") != (has("lokr_w2_a") && has("lokr_w2_b"));
  const bool mixed = (has("lokr_w1") && (has("lokr_w1_a") || has("lokr_w1_b"))) ||
                     (has("lokr_w2") && (has("lokr_w2_a") || has("lokr_w2_b")));
  if (!first || !second || mixed || has("lokr_t1")) {
    return bad(module,
               "does not have the factors of a Kronecker product (lokr_w1 or lokr_w1_a and "
               "lokr_w1_b, lokr_w2 or lokr_w2_a and lokr_w2_b)");
  }
  FERRULE_TRY(auto alpha, alpha_in(module));
  if (has("lokr_w2_b")) {
    site.rank = site.others["lokr_w2_b"].dim(0);
  } else if (has("lokr_w1_b")) {
    site.rank = site.others["lokr_w1_b"].dim(0);
  } else {
    site.rank = std::max(site.others["lokr_w2"].dim(0), site.others["lokr_w2"].dim(1));
    alpha.reset();
  }
  set_scale(site, alpha);
  return add_kept(module, placed, std::move(site));
}

Result<void> SiteReader::add_kept(const RawModule& module, const Placed& placed, Site site) {
  site.component = placed.component;
  site.path = placed.modules.paths.front();
  site.key = module.key;
  const auto [rows, columns] = size_of_update(site);
  if (placed.shape != nullptr && !placed.shape->empty()) {
    std::uint64_t want = 1;
    for (std::size_t i = 1; i < placed.shape->size(); ++i) want *= (*placed.shape)[i];
    if (rows != placed.shape->front() || columns != want) {
      return base::unsupported(
          "EX-11", "module " + quote(module.name) + " has factors for " + std::to_string(rows) +
                       " x " + std::to_string(columns) + ", and the base's weight there is " +
                       base::shape_text(*placed.shape) + "; is the adapter of another model?");
    }
    if (placed.shape->size() > 2) site.kind = SiteKind::kConv;
  }
  for (const auto& [role, values] : site.others) {
    if (values.shape().size() > 2) site.kind = SiteKind::kConv;
  }
  FERRULE_CHECK(take_magnitude(module, rows, site));
  if (placed.modules.paths.size() == 1 && !placed.modules.swaps(rows, columns)) {
    out_.sites.push_back(std::move(site));
    return {};
  }
  return add_kept_parts(module, placed, site, {rows, columns});
}

Result<void> SiteReader::add_kept_parts(const RawModule& module, const Placed& placed,
                                        const Site& whole, std::array<std::uint64_t, 2> size) {
  if (whole.method == "LOKR") return add_kronecker_parts(module, placed, whole);
  const auto& modules = placed.modules;
  const auto [rows, columns] = size;
  const bool swaps = modules.swaps(rows, columns);
  if (!whole.magnitude.empty()) {
    FERRULE_TRY(auto site, as_lora(whole));
    out_.notes.push_back("LoHa of " + quote(module.name) + " is written out as LoRA of rank " +
                         std::to_string(site.rank));
    return finish(module, placed, std::move(site));
  }
  if (rows % (modules.total() * (swaps ? 2 : 1)) != 0) {
    return bad(module, "is several modules in one, and its rows cannot be divided among them");
  }
  const std::size_t axis = whole.others.contains("hada_t1") ? 1 : 0;
  const auto unit = rows / modules.total();
  std::uint64_t row = 0;
  for (std::size_t i = 0; i < modules.paths.size(); ++i) {
    const auto count = unit * modules.ratio[i];
    Site site = whole;
    site.path = modules.paths[i];
    for (const auto* role : {"hada_w1_a", "hada_w2_a"}) {
      auto& values = site.others[role];
      values = swaps ? swapped_halves(values, axis) : values.slice(axis, row, count);
    }
    row += count;
    out_.sites.push_back(std::move(site));
  }
  return {};
}

/// A Kronecker product on several modules in one. diffusers has such modules in Flux 2; elsewhere
/// the product is written out as LoRA, whose rows can be divided.
Result<void> SiteReader::add_kronecker_parts(const RawModule& module, const Placed& placed,
                                             const Site& whole) {
  constexpr std::string_view kQkv = "to_q", kAdded = "add_q_proj";
  const auto& modules = placed.modules;
  const auto& first = modules.paths.front();
  const bool thirds = modules.ratio == std::vector<std::uint64_t>{1, 1, 1};
  if (thirds && placed.model != nullptr && placed.model->name == "flux2") {
    Site site = whole;
    site.path = first.ends_with(kQkv)
                    ? first.substr(0, first.size() - kQkv.size()) + "to_qkv"
                    : first.substr(0, first.size() - kAdded.size()) + "to_added_qkv";
    out_.sites.push_back(std::move(site));
    return {};
  }
  if (whole.others.contains("lokr_t2")) {
    return base::unsupported("EX-3", "module " + quote(module.name) +
                                         " is several modules of diffusers in one, and a Kronecker "
                                         "product with a core cannot be divided "
                                         "among them");
  }
  FERRULE_TRY(auto site, as_lora(whole));
  out_.notes.push_back("the Kronecker product of " + quote(module.name) +
                       " is written out as LoRA of rank " + std::to_string(site.rank));
  return finish(module, placed, std::move(site));
}

Result<void> SiteReader::add_unread(const RawModule& module, const Placed& placed,
                                    std::string method) {
  Site site;
  site.component = placed.component;
  site.path = placed.modules.paths.front();
  site.method = std::move(method);
  site.key = module.key;
  out_.sites.push_back(std::move(site));
  return {};
}

namespace {

/// True if a module in the original's names (a fused projection) is in the file under the names of
/// diffusers, too, with the same update: Anime-Z writes both, and diffusers takes the latter.
Result<bool> is_repeated(const RawModule& module, const Placed& placed, const Middle& middle,
                         BaseWeights& base) {
  Middle own;
  FERRULE_CHECK(SiteReader(own, base).add(module, placed));
  std::size_t found = 0;
  for (const auto& site : own.sites) {
    for (const auto& other : middle.sites) {
      if (site.name() != other.name()) continue;
      ++found;
      const bool lora = site.method == "LORA" && other.method == "LORA" &&
                        site.a.shape() == other.a.shape() && site.b.dim(0) == other.b.dim(0);
      if (lora && update_distance(other, site) <= kSameUpdate) continue;
      return base::corrupt("EX-8", "module " + quote(site.name()) +
                                       " is there twice, with different updates (" +
                                       quote(other.key) + " and " + quote(site.key) + ")");
    }
  }
  return found != 0 && found == own.sites.size();
}

/// kohya-ss's names have underscores, those of diffusers dots: a file of both is two adapters.
Result<void> check_one_spelling(std::span<const RawModule> modules) {
  const RawModule *flat = nullptr, *dotted = nullptr;
  for (const auto& module : modules) {
    const bool prefixed = module.name.starts_with("lora_") || module.name.starts_with("lycoris_");
    (prefixed ? flat : dotted) = &module;
  }
  if (flat == nullptr || dotted == nullptr) return {};
  return base::unsupported("EX-2", "the file has modules in the names of two programs, " +
                                       quote(flat->key) + " and " + quote(dotted->key));
}

/// MiniMax-H3's trainers write the alpha of all modules into the header.
std::optional<double> header_alpha(const ModuleFinder& finder, const Metadata& metadata,
                                   Middle& out) {
  if (finder.model() == nullptr || finder.model()->name != "minimax-h3") return std::nullopt;
  for (const auto& [key, value] : metadata) {
    if (key != "alpha") continue;
    double alpha = 0;
    const auto* end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, alpha);
    if (read.ec == std::errc() && read.ptr == end && std::isfinite(alpha)) return alpha;
    out.notes.push_back("the header's alpha is not a number (" + quote(value) +
                        ") and says nothing");
  }
  return std::nullopt;
}

}  // namespace

Result<Middle> read_image_file(const std::shared_ptr<const TensorSource>& tensors,
                               const Metadata& metadata, const Request& request) {
  Middle out;
  FERRULE_TRY(const auto modules, raw_modules(*tensors));
  FERRULE_CHECK(check_one_spelling(modules));
  FERRULE_TRY(const auto finder, ModuleFinder::make(request, metadata, modules));
  const bool has_alpha = std::any_of(modules.begin(), modules.end(), [](const RawModule& module) {
    return module.find("alpha") != nullptr;
  });
  BaseWeights base(request.base, request.open);
  SiteReader reader(out, base, has_alpha ? std::nullopt : header_alpha(finder, metadata, out));
  std::vector<std::pair<const RawModule*, Placed>> originals;
  for (const auto& module : modules) {
    if (reader.ignore_zeros(module)) continue;
    auto placed = finder.find(module.name);
    // Norms are in no table, and cannot be held anyway.
    if (!placed && reader.add_norm(module)) continue;
    if (!placed) return placed.error();
    if (placed->modules.original) {
      originals.emplace_back(&module, std::move(*placed));
    } else {
      FERRULE_CHECK(reader.add(module, *placed));
    }
  }
  const bool both = !out.sites.empty();
  for (const auto& [module, placed] : originals) {
    if (both) {
      FERRULE_TRY(const bool repeated, is_repeated(*module, placed, out, base));
      if (repeated) {
        out.ignored.push_back(module->key);
        out.notes.push_back(quote(module->name) +
                            " is left out: the file has the same update in the names of diffusers");
        continue;
      }
    }
    FERRULE_CHECK(reader.add(*module, placed));
  }
  if (!out.ignored.empty()) {
    out.notes.push_back(std::to_string(out.ignored.size()) +
                        " tensors change nothing and are left out (" + quote(out.ignored.front()) +
                        ")");
  }
  out.owners.push_back(tensors);
  return out;
}

}  // namespace ferrule::exchange
