// SPDX-License-Identifier: Apache-2.0
#include "merge/expert_parts.hpp"

#include <charconv>
#include <utility>

#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::merging {
namespace {

constexpr std::string_view kInner = ".base_layer";

/// The number behind "experts." in the path.
std::optional<std::size_t> expert_number(std::string_view path) {
  constexpr std::string_view kExperts = "experts.";
  const auto at = path.rfind(kExperts);
  if (at == path.npos) return std::nullopt;
  std::size_t number = 0;
  const char* const first = path.data() + at + kExperts.size();
  const auto read = std::from_chars(first, path.data() + path.size(), number);
  if (read.ec != std::errc()) return std::nullopt;
  return number;
}

struct OneExpert {
  AdapterTensor a;
  AdapterTensor b;
  std::size_t expert = 0;
  std::size_t first_row = 0;
  double strength = 1;
};

std::unique_ptr<LowRankStep> step_for(const OneExpert& one, std::size_t first_row) {
  const auto rank = static_cast<std::size_t>(one.a.tensor.shape()[0]);
  const auto in = static_cast<std::size_t>(one.a.tensor.shape()[1]);
  const auto out = static_cast<std::size_t>(one.b.tensor.shape()[0]);
  auto step = std::make_unique<LowRankStep>(rank, in, one.strength, DeltaRounding::kDelta);
  step->add({.first_row = first_row,
             .rows = out,
             .a = {.tensor = one.a.tensor, .first = 0, .vector = in, .element = 1},
             .b = {.tensor = one.b.tensor, .first = 0, .vector = 1, .element = rank}});
  return step;
}

}  // namespace

Result<ExpertPart> expert_part(const Site& site, const model::BaseIndex& base,
                               const LiveTensors& live) {
  FERRULE_TRY(const auto* a, site.need("lora_A"));
  FERRULE_TRY(const auto* b, site.need("lora_B"));
  FERRULE_TRY(const auto renamed,
              base.names.rename_adapter_key(std::string(site.module->path()) + ".lora_A.weight"));
  auto path = renamed.name.substr(0, renamed.name.rfind(".lora_"));
  const bool inner = path.ends_with(kInner);
  if (inner) path.erase(path.size() - kInner.size());
  ExpertPart part{.parameter = path + (inner ? ".gate_up_proj" : ".down_proj"), .make = {}};
  const auto* fused = live.find(part.parameter);
  const auto expert = expert_number(site.module->path());
  if (fused == nullptr || !expert || fused->shape.size() != 3 || *expert >= fused->shape[0] ||
      renamed.converter == nullptr) {
    return site.refuse("MG-2", "the base has no expert for it in " + quote(part.parameter));
  }
  const auto a_shape = a->tensor.shape();
  const auto b_shape = b->tensor.shape();
  const auto out = fused->shape[1] / renamed.converter->sources;
  if (a_shape.size() != 2 || b_shape.size() != 2 || a_shape[0] != b_shape[1] ||
      a_shape[1] != fused->shape[2] || b_shape[0] != out) {
    return site.refuse("BS-2", "its factors do not fit an expert of " + quote(part.parameter) +
                                   ", which has shape " + base::shape_text(fused->shape));
  }
  const OneExpert one{.a = *a,
                      .b = *b,
                      .expert = *expert,
                      .first_row = static_cast<std::size_t>(renamed.source * out),
                      .strength = site.strength * site.weight * (site.undo ? -1 : 1)};
  const auto rows = static_cast<std::size_t>(fused->shape[1]);
  part.make = [one, rows, site](const Place& place) -> Result<std::unique_ptr<Step>> {
    const auto& at = place.part;
    if (at.transposed) return site.refuse("MG-10", "the base keeps its experts transposed");
    if (at.disk->shape().size() == 3) {
      return std::unique_ptr<Step>(step_for(one, one.expert * rows + one.first_row));
    }
    // One expert's own tensor on disk: this one's, or another's.
    if (at.expert != one.expert || one.first_row < at.row || one.first_row >= at.row + at.rows) {
      return std::unique_ptr<Step>();
    }
    return std::unique_ptr<Step>(step_for(one, one.first_row - at.row));
  };
  return part;
}

}  // namespace ferrule::merging
