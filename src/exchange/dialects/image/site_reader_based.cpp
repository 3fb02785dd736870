// SPDX-License-Identifier: Apache-2.0
// Methods of LyCORIS that are applied to the base's own weight: GLoRA and IA3.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/module_parts.hpp"
#include "exchange/dialects/image/site_reader.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kGlora =
    "GLoRA (a product with the base's weight: --base with weights makes it LoRA, of a layer that "
    "is a matrix)";
constexpr const char* kScaling =
    "IA3 of LyCORIS (it scales the weight and not the bias: PEFT's is the same on inputs, and on "
    "outputs of a layer that has no bias, as --base with weights says)";

/// A matrix, or a convolution of one point, as a matrix; empty if it is another one.
Values as_matrix(const TensorView& tensor) {
  const auto values = Values::of(tensor);
  const auto& shape = values.shape();
  if (shape.size() < 2 || shape[0] == 0 || shape[1] == 0) return {};
  if (std::any_of(shape.begin() + 2, shape.end(), [](auto extent) { return extent != 1; }))
    return {};
  return values.reshaped({shape[0], shape[1]});
}

/// weight [out, in] times factor [in, rank], computed in double and stored as F32.
Values times(const Values& weight, const Values& factor) {
  const auto out = weight.dim(0), in = weight.dim(1), rank = factor.dim(1);
  const auto right = factor.all();
  std::vector<double> row(static_cast<std::size_t>(in));
  std::vector<double> product(static_cast<std::size_t>(out * rank), 0.0);
  for (std::uint64_t i = 0; i < out; ++i) {
    weight.read(i * in, std::span(row));
    for (std::uint64_t k = 0; k < in; ++k) {
      for (std::uint64_t j = 0; j < rank; ++j) {
        product[i * rank + j] += row[k] * right[k * rank + j];
      }
    }
    if (i % 256 == 0) weight.release();
  }
  return Values::owned(std::move(product), {out, rank}, Dtype::kF32);
}

/// The four factors: weight * left * right + up * down.
struct Generalized {
  Values left, right, up, down;

  /// Their shapes are those of a layer [out, in].
  bool fits(std::uint64_t out, std::uint64_t in) const {
    const auto rank = right.dim(0);
    return left.shape() == Shape{in, rank} && right.shape() == Shape{rank, in} &&
           up.shape() == Shape{out, rank} && down.shape() == Shape{rank, in};
  }
};

}  // namespace

Result<void> SiteReader::add_glora(const RawModule& module, const Placed& placed) {
  const auto at = [&](const char* leaf) { return as_matrix(module.unread.find(leaf)->second); };
  const Values a1 = at("a1.weight"), a2 = at("a2.weight"), b1 = at("b1.weight"),
               b2 = at("b2.weight");
  FERRULE_TRY(const auto base,
              base_.find(placed.component, placed.modules.paths.front() + ".weight"));
  const auto weight = base ? as_matrix(*base) : Values();
  const bool whole = placed.modules.paths.size() == 1 && placed.modules.rows == Rows::kAsTheyAre;
  if (!whole || weight.empty() || a1.empty() || a2.empty() || b1.empty() || b2.empty()) {
    return add_unread(module, placed, kGlora);
  }
  Generalized parts{.left = a1, .right = a2, .up = b1, .down = b2};
  // Before LyCORIS 3 the names were the other way round.
  if (!parts.fits(weight.dim(0), weight.dim(1))) parts = {a2, a1, b2, b1};
  if (!parts.fits(weight.dim(0), weight.dim(1))) {
    return bad(module, "has factors of GLoRA that do not fit the base's weight of shape " +
                           base::shape_text(weight.shape()));
  }
  const Values a[] = {parts.right, parts.down};
  const Values b[] = {times(weight, parts.left), parts.up};
  FERRULE_TRY(const auto alpha, alpha_in(module));
  Site site;
  site.rank = parts.right.dim(0);
  set_scale(site, alpha);
  site.rank *= 2;
  site.alpha = site.scale * static_cast<double>(site.rank);
  site.a = Values::concatenated(a, 0);
  site.b = Values::concatenated(b, 1);
  out_.notes.push_back("GLoRA of " + quote(module.name) + " is written as LoRA of rank " +
                       std::to_string(site.rank) + ", which is the same for that base only");
  return finish(module, placed, std::move(site));
}

Result<void> SiteReader::add_scaling(const RawModule& module, const Placed& placed) {
  const auto vector = Values::of(module.unread.find("weight")->second);
  const auto flag = Values::of(module.unread.find("on_input")->second);
  const auto& path = placed.modules.paths.front();
  FERRULE_TRY(const auto weight, base_.find(placed.component, path + ".weight"));
  FERRULE_TRY(const auto bias, base_.find(placed.component, path + ".bias"));
  FERRULE_TRY(const double input, number_in(module, "on_input"));
  const bool on_input = input != 0;
  const bool convolution = vector.shape().size() > 1;
  const bool same = on_input ? !convolution : weight.has_value() && !bias.has_value();
  if (!same || placed.modules.paths.size() != 1 || placed.modules.rows != Rows::kAsTheyAre) {
    return add_unread(module, placed, kScaling);
  }
  const auto count = vector.element_count();
  const auto wanted =
      weight && weight->shape().size() > 1 ? weight->shape()[on_input ? 1 : 0] : count;
  if (count == 0 || count != wanted) {
    return bad(module, "has a vector of " + std::to_string(count) + " for " +
                           std::to_string(wanted) + (on_input ? " columns" : " rows"));
  }
  auto elements = vector.all();
  for (auto& element : elements) element += 1;
  Site site;
  site.component = placed.component;
  site.path = path;
  site.key = module.key;
  site.method = "IA3";
  const Shape shape = convolution ? vector.shape() : on_input ? Shape{1, count} : Shape{count, 1};
  if (convolution) site.kind = SiteKind::kConv;
  site.others["ia3_l"] = Values::owned(std::move(elements), shape, Dtype::kF32);
  out_.sites.push_back(std::move(site));
  return {};
}

}  // namespace ferrule::exchange
