// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/site_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/module_parts.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

bool all_zero(const Values& values) {
  return values.same_values(Values::zeros(values.dtype(), values.shape()));
}

/// Every part has rows and columns of its own in B: then it has its own rows of A, too.
bool is_block_diagonal(const Values& b, const FusedModule& modules) {
  const auto parts = modules.paths.size();
  const auto rank = b.dim(1);
  if (rank % parts != 0) return false;
  const auto unit = b.dim(0) / modules.total();
  const auto each = rank / parts;
  std::uint64_t row = 0;
  for (std::size_t i = 0; i < parts; ++i) {
    const auto rows = unit * modules.ratio[i];
    const auto mine = b.slice(0, row, rows);
    for (std::size_t j = 0; j < parts; ++j) {
      if (i != j && !all_zero(mine.slice(1, j * each, each))) return false;
    }
    row += rows;
  }
  return true;
}

/// A convolution of one point is a matrix and the other way round: as the base has it.
void take_shape(Site& site, std::span<const std::uint64_t> shape) {
  const auto ones = [](std::span<const std::uint64_t> extents) {
    return std::all_of(extents.begin(), extents.end(), [](auto extent) { return extent == 1; });
  };
  const auto& a = site.a.shape();
  if (a.size() > 2 && shape.size() == 2 && ones(std::span(a).subspan(2))) {
    site.a = site.a.reshaped({a[0], a[1]});
    site.b = site.b.reshaped({site.b.dim(0), site.b.dim(1)});
  } else if (a.size() == 2 && shape.size() > 2 && ones(shape.subspan(2))) {
    Shape wide = {a[0], a[1]}, up = {site.b.dim(0), site.b.dim(1)};
    wide.resize(shape.size(), 1);
    up.resize(shape.size(), 1);
    site.a = site.a.reshaped(wide);
    site.b = site.b.reshaped(up);
  }
}

bool fits(const Site& site, std::span<const std::uint64_t> shape) {
  const auto& a = site.a.shape();
  if (a.size() != shape.size()) return false;
  // GPT-2 keeps its weights the other way round.
  if (shape.size() == 2 && a[1] == shape[0] && site.b.dim(0) == shape[1]) return true;
  return site.b.dim(0) == shape[0] && std::equal(a.begin() + 1, a.end(), shape.begin() + 1);
}

Result<void> take_bias(const RawModule& module, std::uint64_t rows, Site& site) {
  const auto* bias = module.find("bias");
  const auto* difference = module.find("diff_b");
  if (bias == nullptr && difference == nullptr) return {};
  const auto values = Values::of(bias != nullptr ? *bias : *difference);
  // Extracted adapters have them everywhere; PEFT would have a bias in every module.
  if (bias == nullptr && all_zero(values)) return {};
  if (values.element_count() != rows) {
    return bad(module, "has a bias of shape " + base::shape_text(values.shape()) + " for " +
                           std::to_string(rows) + " rows");
  }
  site.bias = values.reshaped({rows});
  if (bias != nullptr) return {};
  if (site.scale == 0) return bad(module, "has a bias and the strength 0");
  // PEFT multiplies its bias by the strength.
  site.bias = site.bias.scaled(1 / site.scale);
  return {};
}

/// DiffSynth-Studio trains MiniMax-H3 on rows that are q, k and v of each head of 128, where all
/// others have q, k and v of all heads. Its files are those with PEFT's adapter name in the keys.
Result<void> order_heads(const RawModule& module, const Placed& placed, Site& site) {
  constexpr std::uint64_t kHead = 128;
  if (placed.model == nullptr || placed.model->name != "minimax-h3" ||
      module.key.find(".default.") == std::string::npos) {
    return {};
  }
  const auto rows = site.b.dim(0);
  if (rows % (3 * kHead) != 0 || rows > UINT32_MAX) {
    return bad(module, "has " + std::to_string(rows) + " rows, which are not heads of 128");
  }
  auto order = std::make_shared<std::vector<std::uint32_t>>();
  for (std::uint64_t part = 0; part < 3; ++part) {
    for (std::uint64_t row = 0; row < rows / 3; ++row) {
      const auto head = row / kHead;
      order->push_back(static_cast<std::uint32_t>((head * 3 + part) * kHead + row % kHead));
    }
  }
  site.b = site.b.gathered(0, order);
  return {};
}

bool is_embedding(std::string_view path) {
  const auto leaf = path.substr(path.rfind('.') + 1);
  return leaf == "position_embedding" || leaf == "token_embedding" || leaf == "shared" ||
         leaf == "embed_tokens";
}

}  // namespace

Result<void> SiteReader::add(const RawModule& module, const Placed& placed) {
  const auto has = [&](std::string_view leaf) { return module.find(leaf) != nullptr; };
  if (is_made_of(module, {"a1.weight", "a2.weight", "b1.weight", "b2.weight"})) {
    return add_glora(module, placed);
  }
  if (is_made_of(module, {"on_input", "weight"})) return add_scaling(module, placed);
  if (!module.unread.empty()) {
    const auto& leaf = module.unread.begin()->first;
    const auto method = method_of_part(leaf);
    if (!method.empty()) return add_unread(module, placed, std::string(method));
    return base::unsupported("EX-5", "tensor " + quote(module.name + "." + leaf) +
                                         " is not part of any method that Ferrule knows");
  }
  const auto any = [&](std::string_view head) {
    const auto found = module.leaves.lower_bound(head);
    return found != module.leaves.end() && found->first.starts_with(head);
  };
  const bool lora = has("down") || has("up") || has("mid");
  const bool diff = has("diff");
  const bool hada = any("hada_"), lokr = any("lokr_");
  if (int(lora) + int(diff) + int(hada) + int(lokr) > 1) {
    return bad(module, "has tensors of several methods (" + quote(module.key) + ")");
  }
  if (lora) return add_lora(module, placed);
  if (diff) return add_diff(module, placed);
  if (hada) return add_hada(module, placed);
  if (lokr) return add_lokr(module, placed);
  if (has("whole")) return add_whole(module, placed);
  if (has("diff_b")) return add_bias_alone(module, placed);
  return bad(module, "has " + quote(module.key) + " and no factors");
}

Result<void> SiteReader::add_lora(const RawModule& module, const Placed& placed) {
  const auto *down = module.find("down"), *up = module.find("up");
  if (down == nullptr || up == nullptr) {
    return bad(module, "has only one of its two factors (" + quote(module.key) + ")");
  }
  Site site;
  site.a = Values::of(*down);
  site.b = Values::of(*up);
  const bool flat = site.a.shape().size() < 2 || site.b.shape().size() < 2;
  if (flat || site.a.element_count() == 0 || site.b.element_count() == 0) {
    return bad(module, "has empty or flat factors of shape " + base::shape_text(down->shape()) +
                           " and " + base::shape_text(up->shape()));
  }
  // DyLoRA writes the second factor of a convolution as a matrix.
  if (site.b.shape().size() == 2 && site.a.shape().size() > 2) {
    Shape shape = site.b.shape();
    shape.resize(site.a.shape().size(), 1);
    site.b = site.b.reshaped(shape);
  }
  if (const auto* mid = module.find("mid")) {
    FERRULE_TRY(site.a, with_core(module.name, Values::of(*mid), site.a));
  }
  if (site.a.dim(0) != site.b.dim(1)) {
    return bad(module,
               "has factors that do not fit each other: " + base::shape_text(down->shape()) +
                   " and " + base::shape_text(up->shape()));
  }
  site.rank = site.a.dim(0);
  FERRULE_TRY(const auto alpha, alpha_in(module));
  set_scale(site, alpha ? alpha : usual_alpha_);
  return finish(module, placed, std::move(site));
}

Result<void> SiteReader::add_diff(const RawModule& module, const Placed& placed) {
  const auto values = Values::of(*module.find("diff"));
  if (values.shape().size() < 2) return add_unread(module, placed, "differences of norms");
  if (values.element_count() == 0) return bad(module, "has an empty difference");
  const bool wide = values.shape().size() > 2 || values.dim(0) <= values.dim(1);
  const auto rank = wide ? values.dim(0) : values.dim(1);
  FERRULE_TRY(auto identity, identity_of(module.name, rank, values.dtype()));
  Site site;
  site.a = wide ? values : identity;
  site.b = wide ? identity : values;
  if (values.shape().size() > 2) {
    Shape shape = {rank, rank};
    shape.resize(values.shape().size(), 1);
    site.b = site.b.reshaped(shape);
  }
  site.rank = rank;
  set_scale(site, {});
  out_.notes.push_back("the whole difference of " + quote(module.name) +
                       " is written as factors of full rank");
  return finish(module, placed, std::move(site));
}

bool SiteReader::ignore_zeros(const RawModule& module) {
  const bool differences =
      std::all_of(module.leaves.begin(), module.leaves.end(),
                  [](const auto& leaf) { return leaf.first == "diff" || leaf.first == "diff_b"; });
  const bool norms = std::all_of(module.unread.begin(), module.unread.end(), [](const auto& leaf) {
    return leaf.first == "w_norm" || leaf.first == "b_norm";
  });
  if (!differences || !norms) return false;
  for (const auto* part : {&module.leaves, &module.unread}) {
    for (const auto& [leaf, tensor] : *part) {
      if (!all_zero(Values::of(tensor))) return false;
    }
  }
  for (const auto* part : {&module.leaves, &module.unread}) {
    for (const auto& [leaf, tensor] : *part) out_.ignored.push_back(module.name + "." + leaf);
  }
  return true;
}

bool SiteReader::add_norm(const RawModule& module) {
  const auto* difference = module.find("diff");
  const bool flat = difference != nullptr && difference->shape().size() < 2;
  const bool norm = module.unread.contains("w_norm") || module.unread.contains("b_norm");
  if (!flat && !norm) return false;
  out_.sites.push_back({.path = module.name, .method = "differences of norms", .key = module.key});
  return true;
}

/// A weight of a norm, which replaces the base's.
Result<void> SiteReader::add_whole(const RawModule& module, const Placed& placed) {
  if (module.leaves.size() != 1) return bad(module, "has a whole weight and other tensors");
  out_.extras.push_back({.component = placed.component,
                         .path = placed.modules.paths.front() + ".weight",
                         .role = "modules_to_save",
                         .values = Values::of(*module.find("whole")),
                         .key = module.key});
  return {};
}

/// A bias without factors: LoRA of zeros, if the base says how wide they are.
Result<void> SiteReader::add_bias_alone(const RawModule& module, const Placed& placed) {
  const auto& bias = *module.find("diff_b");
  if (placed.shape == nullptr || placed.shape->size() != 2 || bias.shape().size() != 1) {
    return add_unread(module, placed, "differences of biases alone");
  }
  Site site;
  site.a = Values::zeros(bias.dtype(), {1, (*placed.shape)[1]});
  site.b = Values::zeros(bias.dtype(), {(*placed.shape)[0], 1});
  site.rank = 1;
  set_scale(site, {});
  return finish(module, placed, std::move(site));
}

Result<void> SiteReader::finish(const RawModule& module, const Placed& placed, Site site) {
  site.component = placed.component;
  site.path = placed.modules.paths.front();
  site.key = module.key;
  if (placed.shape != nullptr) {
    take_shape(site, *placed.shape);
    if (!fits(site, *placed.shape)) {
      return base::unsupported(
          "EX-11", "module " + quote(module.name) + " has factors for " +
                       std::to_string(site.b.dim(0)) + " x " + std::to_string(site.a.dim(1)) +
                       ", and the base's weight there is " + base::shape_text(*placed.shape) +
                       "; is the adapter of another model?");
    }
  }
  if (is_embedding(site.path)) return add_embedding(module, std::move(site));
  if (site.a.shape().size() > 2) site.kind = SiteKind::kConv;
  FERRULE_CHECK(take_magnitude(module, site.b.dim(0), site));
  FERRULE_CHECK(take_bias(module, site.b.dim(0), site));
  if (site.bias.empty() && module.find("diff_b") != nullptr) {
    out_.ignored.push_back(module.name + ".diff_b");
  }
  if (placed.modules.swaps(site.b.dim(0), site.a.dim(1))) {
    if (site.b.dim(0) % 2 != 0) return bad(module, "has two halves of rows and an odd number");
    site.b = swapped_halves(site.b);
    if (!site.magnitude.empty()) site.magnitude = swapped_halves(site.magnitude);
    if (!site.bias.empty()) site.bias = swapped_halves(site.bias);
  }
  if (placed.modules.paths.size() > 1) {
    FERRULE_CHECK(order_heads(module, placed, site));
    return add_parts(placed, site);
  }
  out_.sites.push_back(std::move(site));
  return {};
}

/// An embedding's rows are its words; PEFT keeps factors of the transposed matrix.
Result<void> SiteReader::add_embedding(const RawModule& module, Site site) {
  if (module.find("dora_scale") != nullptr || module.find("magnitude") != nullptr ||
      site.a.shape().size() != 2 || site.b.shape().size() != 2) {
    return bad(module, "is an embedding with a magnitude or a kernel");
  }
  // Extracted adapters have zeros for the embeddings of positions.
  if (all_zero(site.a) || all_zero(site.b)) {
    for (const auto& [leaf, tensor] : module.leaves)
      out_.ignored.push_back(module.name + ", " + leaf);
    return {};
  }
  site.kind = SiteKind::kEmbedding;
  auto words = site.b.transposed();
  site.b = site.a.transposed();
  site.a = std::move(words);
  out_.sites.push_back(std::move(site));
  return {};
}

Result<void> SiteReader::add_parts(const Placed& placed, const Site& whole) {
  const auto& modules = placed.modules;
  if (whole.b.dim(0) % modules.total() != 0) {
    return base::corrupt("EX-8", "tensor " + quote(whole.key) + " is of " +
                                     std::to_string(modules.paths.size()) +
                                     " modules in one, and its " + std::to_string(whole.b.dim(0)) +
                                     " rows cannot be divided among them");
  }
  const auto unit = whole.b.dim(0) / modules.total();
  const bool apart = is_block_diagonal(whole.b, modules);
  const auto each = whole.rank / modules.paths.size();
  std::uint64_t row = 0;
  for (std::size_t i = 0; i < modules.paths.size(); ++i) {
    const auto rows = unit * modules.ratio[i];
    Site site = whole;
    site.path = modules.paths[i];
    site.b = whole.b.slice(0, row, rows);
    if (apart) {
      site.a = whole.a.slice(0, i * each, each);
      site.b = site.b.slice(1, i * each, each);
      site.rank = each;
      site.alpha = site.scale * static_cast<double>(each);
    }
    if (!whole.magnitude.empty()) site.magnitude = whole.magnitude.slice(0, row, rows);
    if (!whole.bias.empty()) site.bias = whole.bias.slice(0, row, rows);
    row += rows;
    out_.sites.push_back(std::move(site));
  }
  return {};
}

}  // namespace ferrule::exchange
