// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/fused_modules.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/rope_rows.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kWhy = "q, k and v are in one module there";

/// How the rows of the parts are in the fused module.
enum class Rows {
  kOneBelowTheOther,
  kEqual,     ///< The same, and all parts have as many.
  kByGroups,  ///< Some heads of q, one of k and one of v, and again.
};

struct FusedKind {
  std::string_view model_type;
  std::string_view name;
  std::array<std::string_view, 3> parts;
  Rows rows;
};

constexpr std::array<std::string_view, 3> kAttention = {"q_proj", "k_proj", "v_proj"};
constexpr std::array<std::string_view, 3> kGated = {"gate_proj", "up_proj", ""};

constexpr FusedKind kFused[] = {
    {"phi3", "self_attn.qkv_proj", kAttention, Rows::kOneBelowTheOther},
    {"phi3", "mlp.gate_up_proj", kGated, Rows::kOneBelowTheOther},
    {"gpt_neox", "attention.query_key_value", kAttention, Rows::kByGroups},
    {"falcon", "self_attention.query_key_value", kAttention, Rows::kByGroups},
    {"bloom", "self_attention.query_key_value", kAttention, Rows::kByGroups},
    {"gpt2", "attn.c_attn", kAttention, Rows::kEqual},
    {"deberta", "attention.self.in_proj", kAttention, Rows::kEqual}};

std::vector<const FusedKind*> kinds_of(const BaseFacts& base) {
  std::vector<const FusedKind*> out;
  const auto type = model_type_of(base);
  for (const auto& kind : kFused) {
    if (kind.model_type == type) out.push_back(&kind);
  }
  return out;
}

/// "attention." of "attention.query_key_value": what the part's name follows.
std::string_view place_of(const FusedKind& kind) {
  return kind.name.substr(0, kind.name.rfind('.') + 1);
}

/// Rows of one part that are together in the fused module.
struct Run {
  std::size_t part = 0;
  std::uint64_t count = 0;
};

/// The runs of a fused module of that many rows, in its order.
Result<std::vector<Run>> runs_of(const FusedKind& kind, std::string_view path, std::uint64_t rows,
                                 const BaseFacts& base) {
  const auto other_model = [&](std::uint64_t want) {
    return base::unsupported("EX-9", "module " + quote(path) + " has " + std::to_string(rows) +
                                         " rows, and that of the base has " + std::to_string(want) +
                                         ": the adapter is of another model");
  };
  if (kind.parts[2].empty()) {
    if (rows % 2 != 0) return other_model(rows + 1);
    return std::vector<Run>{{0, rows / 2}, {1, rows / 2}};
  }
  if (kind.rows == Rows::kEqual) {
    if (rows % 3 != 0) return other_model(rows / 3 * 3);
    return std::vector<Run>{{0, rows / 3}, {1, rows / 3}, {2, rows / 3}};
  }
  FERRULE_TRY(const auto heads, heads_of(base, kWhy));
  const auto groups = kind.rows == Rows::kByGroups ? heads.key_value : 1;
  const auto width = heads.width;
  const auto total = (heads.query + 2 * heads.key_value) * width;
  if (rows != total || heads.query % groups != 0) return other_model(total);
  std::vector<Run> runs;
  for (std::uint64_t group = 0; group < groups; ++group) {
    runs.push_back({0, heads.query / groups * width});
    runs.push_back({1, heads.key_value / groups * width});
    runs.push_back({2, heads.key_value / groups * width});
  }
  return runs;
}

std::array<std::uint64_t, 3> heights_of(const std::vector<Run>& runs) {
  std::array<std::uint64_t, 3> heights{};
  for (const auto& run : runs) heights[run.part] += run.count;
  return heights;
}

/// Rows of one part out of those of the fused module.
Values rows_of_part(const Values& whole, const std::vector<Run>& runs, std::size_t part) {
  std::vector<Values> rows;
  std::uint64_t at = 0;
  for (const auto& run : runs) {
    if (run.part == part) rows.push_back(whole.slice(0, at, run.count));
    at += run.count;
  }
  return Values::concatenated(rows, 0);
}

/// The fused module's rows out of the parts' one below the other.
Values rows_of_whole(const Values& below, const std::vector<Run>& runs) {
  const auto heights = heights_of(runs);
  std::array<std::uint64_t, 3> next = {0, heights[0], heights[0] + heights[1]};
  std::vector<Values> rows;
  for (const auto& run : runs) {
    rows.push_back(below.slice(0, next[run.part], run.count));
    next[run.part] += run.count;
  }
  return Values::concatenated(rows, 0);
}

/// The first column of B with a value other than 0, and one past the last.
std::pair<std::uint64_t, std::uint64_t> used_columns(const Values& b) {
  constexpr std::uint64_t kPiece = 1 << 14;
  const auto rank = b.dim(1);
  std::uint64_t first = rank, end = 0;
  std::vector<double> piece;
  const auto rows = std::max<std::uint64_t>(1, kPiece / rank);
  for (std::uint64_t row = 0; row < b.dim(0); row += rows) {
    piece.resize(static_cast<std::size_t>(std::min(rows, b.dim(0) - row) * rank));
    b.read(row * rank, std::span(piece));
    for (std::size_t i = 0; i < piece.size(); ++i) {
      if (piece[i] == 0) continue;
      first = std::min<std::uint64_t>(first, i % rank);
      end = std::max<std::uint64_t>(end, i % rank + 1);
    }
  }
  b.release();
  return {first, end};
}

void set_rank(Site& site) {
  site.rank = site.a.dim(0);
  const double alpha = site.scale * static_cast<double>(site.rank);
  site.alpha.reset();
  if (alpha / static_cast<double>(site.rank) == site.scale) site.alpha = alpha;
}

Result<void> divide(const Site& whole, const FusedKind& kind, const BaseFacts& base,
                    std::vector<Site>& out) {
  FERRULE_TRY(const auto runs, runs_of(kind, whole.name(), whole.b.dim(0), base));
  const auto stem = whole.path.substr(0, whole.path.rfind('.') + 1);
  const auto before = out.size();
  for (std::size_t i = 0; i < kind.parts.size() && !kind.parts[i].empty(); ++i) {
    Site site = whole;
    site.path = stem + std::string(kind.parts[i]);
    site.b = rows_of_part(whole.b, runs, i);
    const auto [first, end] = used_columns(site.b);
    if (!whole.magnitude.empty()) {
      const auto flat = whole.magnitude.reshaped({whole.magnitude.element_count()});
      site.magnitude = rows_of_part(flat, runs, i);
    } else if (first >= end) {
      continue;
    }
    if (first < end && end - first < whole.rank) {
      site.a = whole.a.slice(0, first, end - first);
      site.b = site.b.slice(1, first, end - first);
      set_rank(site);
    }
    out.push_back(std::move(site));
  }
  if (out.size() == before) {
    out.push_back(whole);
    out.back().path = stem + std::string(kind.parts[0]);
    out.back().b = rows_of_part(whole.b, runs, 0);
  }
  return {};
}

using Parts = std::array<std::optional<Site>, 3>;

Result<Site> joined(const std::string& path, const FusedKind& kind, const Parts& parts,
                    const BaseFacts& base) {
  const auto& one = *std::find_if(parts.begin(), parts.end(), [](const auto& p) { return !!p; });
  std::uint64_t rows = 0;
  if (kind.parts[2].empty()) {
    rows = 2 * one->b.dim(0);
  } else if (kind.rows == Rows::kEqual) {
    rows = 3 * one->b.dim(0);
  } else {
    FERRULE_TRY(const auto heads, heads_of(base, kWhy));
    rows = (heads.query + 2 * heads.key_value) * heads.width;
  }
  FERRULE_TRY(const auto runs, runs_of(kind, path, rows, base));
  const auto heights = heights_of(runs);
  std::vector<Values> a, b, magnitudes;
  for (std::size_t i = 0; i < parts.size() && !kind.parts[i].empty(); ++i) {
    if (!parts[i]) {
      b.push_back(Values::zeros(one->b.dtype(), {heights[i], 0}));
      continue;
    }
    if (parts[i]->b.dim(0) != heights[i] || parts[i]->a.dim(1) != one->a.dim(1)) {
      return base::corrupt("EX-8", "module " + quote(parts[i]->path) + " (" + quote(parts[i]->key) +
                                       ") has " + std::to_string(parts[i]->b.dim(0)) +
                                       " rows, and the base has " + std::to_string(heights[i]));
    }
    a.push_back(parts[i]->a);
    b.push_back(parts[i]->b);
    if (!parts[i]->magnitude.empty()) magnitudes.push_back(parts[i]->magnitude);
  }
  Site site = *one;
  site.path = path;
  site.a = Values::concatenated(a, 0);
  site.b = rows_of_whole(Values::block_diagonal(b), runs);
  set_rank(site);
  if (magnitudes.empty()) return site;
  if (magnitudes.size() != b.size()) {
    return base::unsupported("EX-3", "module " + quote(path) +
                                         " of the base is several in the adapter, and not all of "
                                         "them have a magnitude of DoRA");
  }
  site.magnitude = rows_of_whole(Values::concatenated(magnitudes, 0), runs);
  return site;
}

}  // namespace

Result<std::vector<Site>> with_parts_apart(const std::vector<Site>& sites, const BaseFacts& base) {
  const auto kinds = kinds_of(base);
  std::vector<Site> out;
  for (const auto& site : sites) {
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto* kind) {
      return site.path.ends_with("." + std::string(kind->name));
    });
    if (found == kinds.end() || site.method != "LORA") {
      out.push_back(site);
    } else {
      FERRULE_CHECK(divide(site, **found, base, out));
    }
  }
  return out;
}

Result<void> join_parts(std::vector<Site>& sites, const BaseFacts& base) {
  std::map<std::string, std::pair<const FusedKind*, Parts>> wholes;
  std::vector<Site> out;
  const auto kinds = kinds_of(base);
  const auto take = [&](Site& site) {
    for (const auto* kind : kinds) {
      for (std::size_t i = 0; i < kind->parts.size() && !kind->parts[i].empty(); ++i) {
        const auto tail = "." + std::string(place_of(*kind)) + std::string(kind->parts[i]);
        if (!site.path.ends_with(tail)) continue;
        const auto path =
            site.path.substr(0, site.path.size() - tail.size() + 1) + std::string(kind->name);
        auto& whole = wholes[path];
        whole.first = kind;
        whole.second[i] = std::move(site);
        return true;
      }
    }
    return false;
  };
  for (auto& site : sites) {
    if (!take(site)) out.push_back(std::move(site));
  }
  for (const auto& [path, whole] : wholes) {
    FERRULE_TRY(auto site, joined(path, *whole.first, whole.second, base));
    out.push_back(std::move(site));
  }
  sites = std::move(out);
  return {};
}

}  // namespace ferrule::exchange
