// SPDX-License-Identifier: Apache-2.0
// mlx-lm: a folder with adapters.safetensors and an adapter_config.json of its own. Factors are
// transposed, `scale` is the factor on the update itself, and one rank and one scale hold for all.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/experts.hpp"
#include "exchange/fold.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kWeights = "adapters.safetensors";

std::optional<double> number_at(const Json& config, std::string_view field) {
  const auto* parameters = config.find("lora_parameters");
  const auto* value = parameters == nullptr ? nullptr : parameters->find(field);
  return value == nullptr ? std::nullopt : value->number();
}

std::string text_at(const Json& config, std::string_view field) {
  const auto* value = config.find(field);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : *text;
}

/// The tensors of one module.
struct Found {
  Values a, b, m;
  std::string key;
};

class Reader {
 public:
  Reader(double scale, const BaseFacts& base, Middle& out)
      : scale_(scale), base_(base), out_(out) {}

  Result<void> read(const TensorSource& source) {
    std::map<std::string, Found> modules;
    for (const auto& [name, tensor] : source.tensors()) {
      const auto dot = name.rfind('.');
      const auto leaf = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
      if ((leaf != "lora_a" && leaf != "lora_b" && leaf != "m") || tensor.shape().size() > 3) {
        return base::unsupported("EX-5", "tensor " + quote(name) +
                                             " is none that mlx-lm loads from an adapter "
                                             "(lora_a, lora_b, m)");
      }
      auto& found = modules[std::string(name.substr(0, dot))];
      if (found.key.empty()) found.key = name;
      (leaf == "m" ? found.m : leaf == "lora_a" ? found.a : found.b) = Values::of(tensor);
    }
    for (auto& [path, found] : modules) FERRULE_CHECK(add(path, found));
    return {};
  }

 private:
  Result<void> add(const std::string& path, Found& found) {
    if (found.a.empty() || found.b.empty() || found.a.shape().size() != found.b.shape().size() ||
        found.a.shape().size() < 2) {
      return base::corrupt("EX-8", "module " + quote(path) +
                                       " does not have a lora_a and a lora_b that belong together");
    }
    Site site;
    site.path = mlx_to_hf(path, base_);
    site.scale = scale_;
    site.key = found.key;
    if (found.a.shape().size() == 3) return add_experts(path, std::move(site), found);
    site.a = found.a.transposed();
    site.b = found.b.transposed();
    site.rank = site.a.dim(0);
    site.magnitude = found.m;
    if (is_embedding_path(site.path)) site.kind = SiteKind::kEmbedding;
    site.alpha = alpha(site.rank);
    site.path = canonical_path(site.path);
    out_.sites.push_back(std::move(site));
    return {};
  }

  /// [experts, rank, in] and [experts, out, rank].
  Result<void> add_experts(const std::string& path, Site site, const Found& found) {
    const auto place = mlx_experts_at(path, base_);
    if (!place || !found.m.empty()) {
      return base::unsupported("EX-12", "module " + quote(path) +
                                            " has a factor for each expert, and Ferrule knows no "
                                            "experts of that name");
    }
    const auto count = found.a.dim(0);
    if (found.b.dim(0) != count || count > 65536) {
      return base::corrupt("EX-12", "module " + quote(site.path) + " has " + std::to_string(count) +
                                        " lora_a and " + std::to_string(found.b.dim(0)) +
                                        " lora_b");
    }
    const auto known = expert_count(base_);
    if (known != 0 && known != count) {
      return base::corrupt("EX-12", "module " + quote(site.path) + " has " + std::to_string(count) +
                                        " experts, and a layer of the base has " +
                                        std::to_string(known));
    }
    out_.facts.fused_experts = true;
    out_.facts.switch_layers = true;
    for (std::uint64_t i = 0; i < count; ++i) {
      Site one = site;
      one.path = canonical_path(place->experts + "." + std::to_string(i) + "." + place->leaf);
      const auto a = found.a.slice(0, i, 1), b = found.b.slice(0, i, 1);
      one.a = a.without_axis(0);
      one.b = b.without_axis(0);
      one.rank = one.a.dim(0);
      one.alpha = alpha(one.rank);
      out_.sites.push_back(std::move(one));
    }
    return {};
  }

  std::optional<double> alpha(std::uint64_t rank) const {
    const double product = scale_ * static_cast<double>(rank);
    if (product / static_cast<double>(rank) == scale_) return product;
    return std::nullopt;
  }

  double scale_;
  const BaseFacts& base_;
  Middle& out_;
};

class Writer {
 public:
  Writer(const Middle& middle, const Request& request, Ledger& ledger)
      : middle_(middle), request_(request), ledger_(ledger) {}

  Result<Plan> write() {
    std::vector<Site> sites = middle_.sites;
    FERRULE_CHECK(check(sites));
    scale_ = common_scale(sites);
    for (const auto& site : sites) rank_ = std::max(rank_, site.rank);
    FERRULE_TRY(const auto groups, take_experts(sites, expert_count(request_.base), ledger_));
    for (const auto& group : groups) FERRULE_CHECK(add_group(group));
    for (const auto& site : sites) FERRULE_CHECK(add_site(site));
    Plan plan;
    plan.renamed_sites = std::move(renamed_);
    plan.files.push_back(text_file(kConfigFile, config().dump_python(4, true) + "\n"));
    plan.files.push_back(safetensors_file(kWeights, std::move(tensors_), {{"format", "mlx"}}));
    return plan;
  }

 private:
  /// Sites that mlx-lm would compute otherwise, or has no module for.
  Result<void> check(std::vector<Site>& sites) {
    bool plain = false;
    std::vector<Site> kept;
    for (const auto& site : sites) {
      dora_ = dora_ || !site.magnitude.empty();
      plain = plain || site.magnitude.empty();
      if (const auto why = mlx_has_no_layer(site.path, request_.base); !why.empty()) {
        ledger_.lost("modules", site, "mlx-lm " + std::string(why));
        continue;
      }
      if (site.path == "lm_head" && ties_embeddings(request_.base)) {
        ledger_.lost("embeddings", site,
                     "the base has no head of its own (tie_word_embeddings), and mlx-lm no module "
                     "for it");
        continue;
      }
      if (site.kind == SiteKind::kEmbedding && ties_embeddings(request_.base)) {
        ledger_.lost("embeddings", site,
                     "the base ties its head to the embedding, and mlx-lm would change the head, "
                     "too");
        continue;
      }
      kept.push_back(site);
    }
    sites = std::move(kept);
    if (dora_ && plain) {
      return base::unsupported("EX-3",
                               "some modules have magnitudes of DoRA and some do not, and "
                               "fine_tune_type of mlx-lm is one for all");
    }
    return {};
  }

  static double common_scale(std::vector<Site> sites) {
    std::erase_if(sites, [](const Site& site) { return site.scale == 0; });
    return sites.empty() ? 0 : most_common_scale(sites);
  }

  Result<Folded> factors(const Site& site) {
    if (site.scale == scale_) return Folded{site.a, site.b};
    return fold(site, site.scale / scale_, stored_dtype(site.b, request_.dtype), ledger_);
  }

  Result<void> add_site(const Site& site) {
    FERRULE_TRY(const auto both, factors(site));
    const auto path = hf_to_mlx(site.path, request_.base);
    add(both.a.padded(0, rank_).transposed(), path + ".lora_a", site.key);
    add(both.b.padded(1, rank_).transposed(), path + ".lora_b", {});
    if (!site.magnitude.empty()) {
      add(site.magnitude.reshaped({site.magnitude.element_count()}), path + ".m", {});
    }
    keys_.insert(path);
    // The reader knows one spelling of each module.
    auto again = canonical_path(mlx_to_hf(path, request_.base));
    if (again != site.path) renamed_[site.name()] = std::move(again);
    return {};
  }

  Result<void> add_group(const ExpertGroup& group) {
    std::vector<Values> a, b;
    for (const auto& site : group.sites) {
      FERRULE_TRY(const auto both, factors(site));
      a.push_back(both.a.padded(0, rank_));
      b.push_back(both.b.padded(1, rank_));
    }
    const auto path = mlx_experts(group.experts, group.part, request_.base);
    add(Values::stacked(a), path + ".lora_a", group.key);
    add(Values::stacked(b), path + ".lora_b", {});
    keys_.insert(path);
    return {};
  }

  void add(const Values& values, std::string name, const std::string& key) {
    const auto dtype = stored_dtype(values, request_.dtype);
    if (dtype != values.dtype()) ledger_.rounded(name, std::string(dtype_name(dtype)));
    if (!key.empty()) ledger_.renamed(key, name);
    tensors_.push_back(values.stream(std::move(name), dtype));
  }

  /// Keys are whole paths, which mlx-lm takes as well: any set of modules can be named.
  Json config() const {
    Json::Object parameters{{"rank", rank_},
                            {"scale", scale_},
                            {"dropout", middle_.facts.dropout},
                            {"keys", Json::Array(keys_.begin(), keys_.end())}};
    Json::Object out{{"fine_tune_type", dora_ ? "dora" : "lora"},
                     {"num_layers", 0},
                     {"lora_parameters", std::move(parameters)}};
    if (middle_.facts.base_model) out.emplace_back("model", *middle_.facts.base_model);
    return out;
  }

  const Middle& middle_;
  const Request& request_;
  Ledger& ledger_;
  bool dora_ = false;
  double scale_ = 1;
  std::uint64_t rank_ = 0;
  std::set<std::string> keys_;
  std::map<std::string, std::string> renamed_;
  std::vector<TensorStream> tensors_;
};

class Mlx final : public Dialect {
 public:
  std::string_view name() const override { return "mlx"; }
  std::string_view what() const override { return "mlx-lm"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kFileScale,
                                  .dora = true,
                                  .embeddings = true,
                                  .extras = {},
                                  .methods = {}};
    return kCarries;
  }
  bool detect(const Look& look) const override {
    return look.is_folder && look.recognized_as("mlx") && look.config.find("peft_type") == nullptr;
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    const auto type = text_at(look.config, "fine_tune_type");
    if (type == "full") {
      return base::unsupported("EX-3",
                               "fine_tune_type is \"full\": the file holds whole weights, "
                               "which do not belong to an adapter");
    }
    const auto scale = number_at(look.config, "scale");
    if (!scale) {
      return base::unsupported("EX-6",
                               "adapter_config.json does not say the strength "
                               "(lora_parameters.scale)");
    }
    if (!look.has(kWeights)) {
      return base::not_found("EX-1", std::string("there is no ") + kWeights + " beside the config");
    }
    FERRULE_TRY(const auto opened, look.open(kWeights, request.open));
    Middle out;
    out.facts.new_names = true;
    FERRULE_CHECK(Reader(*scale, request.base, out).read(*opened.tensors));
    out.owners.push_back(opened.tensors);
    out.facts.dropout = number_at(look.config, "dropout").value_or(0);
    if (number_at(look.config, "alpha")) {
      out.notes.emplace_back(
          "lora_parameters has an alpha, which mlx-lm ignores since 0.16 (older ones multiplied "
          "with alpha / rank); the strength is scale alone");
    }
    const auto model = text_at(look.config, "model");
    if (!model.empty()) out.facts.base_model = model;
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return Writer(middle, request, ledger).write();
  }
};

}  // namespace

const Dialect& mlx_dialect() {
  static const Mlx kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
