// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/image_file.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/image/model_guess.hpp"
#include "exchange/dialects/image/module_parts.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

using Parts = std::vector<std::optional<Site>>;

const Site& first_of(const Parts& parts) {
  return **std::find_if(parts.begin(), parts.end(), [](const auto& part) { return bool(part); });
}

/// Rows of each part, 0 if the parts do not say the same.
std::uint64_t unit_of(const Parts& parts, const FusedModule& whole) {
  std::uint64_t unit = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i]) continue;
    const auto rows = parts[i]->b.dim(0);
    if (rows % whole.ratio[i] != 0) return 0;
    if (unit != 0 && unit != rows / whole.ratio[i]) return 0;
    unit = rows / whole.ratio[i];
  }
  return unit;
}

Error do_not_join(const Site& site, const std::string& what) {
  return base::unsupported(
      "EX-3",
      quote(site.name()) + " and others are one weight in the model's own code, and " + what);
}

/// A, B and magnitude of the whole.
class Joiner {
 public:
  Joiner(const Parts& parts, const FusedModule& whole, std::uint64_t unit)
      : parts_(parts), whole_(whole), unit_(unit) {}

  Result<Site> join(std::string path, Ledger& ledger) {
    Site out = first_of(parts_);
    for (const auto& part : parts_) {
      if (part && part->scale != 0 && out.scale == 0) out.scale = part->scale;
    }
    FERRULE_CHECK(join_magnitudes(out));
    if (shared()) {
      join_rows(out);
    } else {
      join_blocks(out, ledger);
    }
    out.path = std::move(path);
    out.rank = out.a.dim(0);
    if (parts_.size() > 1) out.alpha.reset();
    return out;
  }

 private:
  /// Every part has the same A and strength.
  bool shared() const {
    const Site& first = first_of(parts_);
    return std::all_of(parts_.begin(), parts_.end(), [&](const auto& part) {
      return !part || (part->scale == first.scale && part->a.same_values(first.a, 1));
    });
  }

  Values rows(std::size_t i, std::uint64_t rank, Dtype dtype) const {
    return Values::zeros(dtype, {unit_ * whole_.ratio[i], rank});
  }

  void join_rows(Site& out) const {
    const auto dtype = out.b.dtype();
    std::vector<Values> b;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      b.push_back(parts_[i] ? parts_[i]->b : rows(i, out.a.dim(0), dtype));
    }
    out.b = Values::concatenated(b, 0);
  }

  void join_blocks(Site& out, Ledger& ledger) const {
    const auto dtype = out.b.dtype();
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (!parts_[i]) {
        b.push_back(rows(i, 0, dtype));
        continue;
      }
      const double factor = parts_[i]->scale / out.scale;
      a.push_back(parts_[i]->a);
      b.push_back(parts_[i]->b.scaled(factor));
      if (factor != 1) ledger.folded(parts_[i]->name(), factor, is_power_of_two(factor));
    }
    out.a = Values::concatenated(a, 0);
    out.b = Values::block_diagonal(b);
  }

  Result<void> join_magnitudes(Site& out) const {
    std::vector<Values> magnitudes;
    for (const auto& part : parts_) {
      if (part && !part->magnitude.empty()) magnitudes.push_back(part->magnitude);
    }
    out.magnitude = {};
    if (magnitudes.empty()) return {};
    if (magnitudes.size() != parts_.size()) {
      return do_not_join(out, "not all of them have a magnitude of DoRA");
    }
    for (auto& magnitude : magnitudes) magnitude = magnitude.reshaped({magnitude.element_count()});
    out.magnitude = Values::concatenated(magnitudes, 0);
    return {};
  }

  const Parts& parts_;
  const FusedModule& whole_;
  std::uint64_t unit_;
};

}  // namespace

SiteComponents::SiteComponents(const Middle& middle, const BaseFacts& base) {
  if (const auto* model = base.model()) usual_ = component_of_class(model->class_name());
  if (!usual_.empty()) return;
  std::set<std::string_view> images;
  for (const auto& site : middle.sites) {
    const auto component = component_of_module(site.path);
    if (!component.empty()) images.insert(component);
  }
  // A name such as "proj_out" is of the model that the others are of.
  if (images.size() == 1) usual_ = *images.begin();
}

std::string SiteComponents::of(const Site& site) const {
  if (!site.component.empty()) return site.component;
  return usual_.empty() ? std::string(component_of_module(site.path)) : usual_;
}

const ImageModel* model_of_sites(const std::string& component, std::span<const Site> sites,
                                 const Request& request) {
  const auto* base = request.base.component(component);
  if (base == nullptr) base = request.base.model();
  const auto name = base == nullptr ? std::string() : base->class_name();
  if (!name.empty()) return image_model_of_class(name);
  if (!request.arch.empty()) return image_model_called(request.arch);
  std::vector<std::string> paths;
  bool flux = false, flux2 = false;
  for (const auto& site : sites) {
    paths.push_back(site.path);
    flux = flux || site.path.starts_with("single_transformer_blocks.");
    flux2 = flux2 || site.path.ends_with("to_qkv_mlp_proj");
  }
  if (const auto* model = model_by_paths(paths)) return model;
  if (!flux) return nullptr;
  return image_model_called(flux2 ? "flux2" : "flux");
}

void ImageFile::add(const Values& values, const std::string& name, const std::string& source) {
  const auto dtype = stored_dtype(values, request_.dtype);
  if (dtype != values.dtype()) ledger_.rounded(name, std::string(dtype_name(dtype)));
  if (name == source) {
    ledger_.kept(name);
  } else if (!source.empty()) {
    ledger_.renamed(source, name);
  }
  tensors_.push_back(values.stream(name, dtype));
}

void ImageFile::add_number(double value, const std::string& name) {
  auto number = std::make_shared<const float>(static_cast<float>(value));
  tensors_.push_back({.name = name,
                      .dtype = Dtype::kF32,
                      .shape = {},
                      .bytes = std::as_bytes(std::span(number.get(), 1)),
                      .owner = number});
}

Result<std::vector<Site>> join_original(std::vector<Site>& sites, const ImageModel& model,
                                        Ledger& ledger) {
  std::map<std::string, std::pair<FusedModule, Parts>> groups;
  std::vector<Site> others;
  for (auto& site : sites) {
    auto part = to_original(site.path, model);
    if (!part) {
      others.push_back(std::move(site));
      continue;
    }
    auto& [whole, parts] = groups[part->path];
    whole = std::move(part->whole);
    parts.resize(whole.paths.size());
    parts[part->part] = std::move(site);
  }
  sites = std::move(others);
  std::vector<Site> out;
  for (auto& [path, group] : groups) {
    auto& [whole, parts] = group;
    const Site& first = first_of(parts);
    const bool swaps = !first.b.empty() && whole.swaps(first.b.dim(0), first.a.dim(1));
    const bool one =
        parts.size() == 1 && (whole.rows == Rows::kAsTheyAre || (!first.b.empty() && !swaps));
    if (one) {
      out.push_back(first);
      out.back().path = path;
      continue;
    }
    for (const auto& part : parts) {
      if (!part) continue;
      if (part->method != "LORA" || !part->bias.empty()) {
        return do_not_join(*part, "only LoRA without biases is joined");
      }
      if (part->a.shape().size() != 2 || part->a.dim(1) != first.a.dim(1)) {
        return do_not_join(*part, "their factors do not fit each other");
      }
    }
    const auto unit = unit_of(parts, whole);
    if (unit == 0) return do_not_join(first, "their sizes do not fit each other");
    FERRULE_TRY(auto site, Joiner(parts, whole, unit).join(path, ledger));
    if (swaps) {
      if (site.b.dim(0) % 2 != 0) return do_not_join(first, "it has an odd number of rows");
      site.b = swapped_halves(site.b);
      if (!site.magnitude.empty()) site.magnitude = swapped_halves(site.magnitude);
    }
    out.push_back(std::move(site));
  }
  return out;
}

}  // namespace ferrule::exchange
