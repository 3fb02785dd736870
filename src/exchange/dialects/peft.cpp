// SPDX-License-Identifier: Apache-2.0
// PEFT's own folders: adapter_config.json and adapter_model.safetensors; of an image model one
// folder a component.
#include <algorithm>
#include <set>
#include <utility>

#include "adapter/examine.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/dialects/peft_config.hpp"
#include "exchange/dialects/peft_factors.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/experts.hpp"
#include "exchange/fold.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "peft/strength.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";

Result<void> read_folder(const fs::path& folder, const std::string& component,
                         const Request& request, Middle& out) {
  FERRULE_TRY(auto opened, AdapterAccess::open(folder, request.open));
  auto read = read_peft(std::move(opened), component, request, out);
  if (!read) return base::at(std::move(read).error(), folder);
  return {};
}

enum class Experts { kAsTheyWere, kApart, kFused };

/// Joined experts stay joined, except those of GGUF files, which are made of single ones.
Experts as_they_were(const Middle& middle, const Request& request) {
  const auto& facts = middle.facts;
  const bool known = !facts.peft_configs.empty() || (facts.switch_layers && request.base.known());
  return facts.fused_experts && known ? Experts::kFused : Experts::kAsTheyWere;
}

/// Files of one component.
class FolderWriter {
 public:
  FolderWriter(const Middle& middle, std::string component, const Request& request, Ledger& ledger)
      : middle_(middle), component_(std::move(component)), request_(request), ledger_(ledger) {}

  Result<PeftForm> form(Experts experts) {
    std::vector<Site> plain;
    for (const auto& site : middle_.sites) {
      if (site.component == component_) plain.push_back(site);
    }
    if (experts == Experts::kFused) FERRULE_CHECK(take_experts(plain));
    has_fused_ = !layers_.empty();
    new_form_ = experts != Experts::kApart && request_.base.known();
    for (const auto& site : plain) add_site(site);
    for (const auto& extra : middle_.extras) {
      if (extra.component == component_) add(extra.values, extra.path, extra.key);
    }
    FERRULE_TRY(auto config, peft_config(middle_, component_, layers_, request_.base));
    FERRULE_CHECK(settle_dropout(config));
    return PeftForm{std::move(config), std::move(tensors_)};
  }

  Result<void> write(Experts experts, Plan& plan) {
    FERRULE_TRY(auto made, form(experts));
    const std::string below = component_.empty() ? "" : component_ + "/";
    plan.files.push_back(text_file(below + kConfigFile, made.config.to_json()));
    plan.files.push_back(
        safetensors_file(below + kSafetensorsFile, std::move(made.tensors), {{"format", "pt"}}));
    plan.stale.push_back(below + kBinFile);
    return {};
  }

 private:
  /// PEFT has no dropout on parameters, and refuses it.
  Result<void> settle_dropout(AdapterConfig& config) {
    const bool any = std::any_of(layers_.begin(), layers_.end(),
                                 [](const PeftLayer& layer) { return layer.is_parameter; });
    if (!any || config.number("lora_dropout").value_or(0) == 0) return {};
    ledger_.note("lora_dropout is 0: PEFT does not take another one on parameters");
    return config.set("lora_dropout", 0.0);
  }

  Result<void> take_experts(std::vector<Site>& plain) {
    FERRULE_TRY(auto fused, fuse_experts(plain, request_.base, ledger_));
    for (const auto& layer : fused) {
      layers_.push_back({.path = layer.parameter,
                         .rank = layer.rank,
                         .scale = layer.scale,
                         .alpha = layer.alpha,
                         .is_parameter = true});
      add(layer.a, layer.module + ".lora_A.weight", layer.key);
      add(layer.b, layer.module + ".lora_B.weight", layer.key);
    }
    return {};
  }

  void add_site(const Site& canonical) {
    Site site = canonical;
    site.path = old_path(site.path, model_type());
    const bool parameter = as_parameter(site);
    layers_.push_back({.path = parameter ? site.path + ".weight" : site.path,
                       .rank = site.rank,
                       .scale = site.scale,
                       .alpha = site.alpha,
                       .is_parameter = parameter,
                       .kind = site.kind});
    const bool embedding = site.kind == SiteKind::kEmbedding;
    if (!site.a.empty()) {
      add(site.a, site.path + (embedding ? ".lora_embedding_A" : ".lora_A.weight"), site.key);
      add(site.b, site.path + (embedding ? ".lora_embedding_B" : ".lora_B.weight"), {});
    }
    if (!site.magnitude.empty()) {
      add(peft_magnitude(site), site.path + ".lora_magnitude_vector", {});
    }
    if (!site.bias.empty()) add(site.bias, site.path + ".lora_B.bias", {});
    for (const auto& [role, values] : site.others) add(values, site.path + "." + role, {});
  }

  /// Routers beside fused experts are not linear layers, and PEFT takes other projections for those
  /// of experts: it adapts the weight of either as a parameter.
  bool as_parameter(const Site& site) const {
    const bool plain = site.method == "LORA" && site.kind == SiteKind::kLinear &&
                       site.magnitude.empty() && site.bias.empty();
    if (!plain || !(has_fused_ || (new_form_ && middle_.facts.new_names))) return false;
    return is_peft_parameter(site.path, model_type_of(request_.base));
  }

  /// Of the base; of a source in mixtral's names if there is none.
  std::string model_type() const {
    const auto type = model_type_of(request_.base);
    return type.empty() && middle_.facts.old_names ? "mixtral" : type;
  }

  void add(const Values& values, const std::string& path, const std::string& key) {
    const std::string name = std::string(kPrefix) + path;
    const auto dtype = stored_dtype(values, request_.dtype);
    if (dtype != values.dtype()) ledger_.rounded(name, std::string(dtype_name(dtype)));
    if (name == key) {
      ledger_.kept(name);
    } else if (!key.empty()) {
      ledger_.renamed(key, name);
    }
    tensors_.push_back(values.stream(name, dtype));
  }

  const Middle& middle_;
  std::string component_;
  const Request& request_;
  Ledger& ledger_;
  bool has_fused_ = false;
  bool new_form_ = false;  ///< The base is known, and experts are not asked for one by one.
  std::vector<PeftLayer> layers_;
  std::vector<TensorStream> tensors_;
};

class Peft : public Dialect {
 public:
  std::string_view name() const override { return "peft"; }
  std::string_view what() const override { return "PEFT"; }

  const Carries& carries() const override {
    static const Carries kCarries{
        .scale = ScalePlace::kSite,
        .dora = true,
        .bias = true,
        .conv = true,
        .mid = false,
        .embeddings = true,
        .components = true,
        .extras = {"modules_to_save", "bias", "embedding", "trainable_tokens"},
        .methods = {"LOHA", "LOKR", "IA3", "VERA"},
        .invocation_tokens = true,
        .changed_base = true};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    if (!look.is_folder) return false;
    if (look.config.find("swift_type") != nullptr && !look.has_peft_keys) return false;
    if (look.config.find("peft_type") != nullptr) {
      // torchtune puts such a config beside its own adapter_model.pt.
      return look.has(kSafetensorsFile) || look.has(kBinFile) || !look.has("adapter_model.pt");
    }
    return look.config.is_null() && !components_of(look).empty();
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    Middle out;
    const auto components = components_of(look);
    if (!look.has(kConfigFile) && !components.empty()) {
      for (const auto& component : components) {
        FERRULE_CHECK(read_folder(look.path / component, component, request, out));
      }
      return out;
    }
    FERRULE_CHECK(read_folder(look.path, {}, request, out));
    return out;
  }

  Result<void> prepare(Middle& middle, const Request& request, Ledger& ledger) const override {
    return settle_methods(middle, request.base, ledger);
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return write_as(as_they_were(middle, request), middle, request, ledger);
  }

 protected:
  static Result<Plan> write_as(Experts experts, const Middle& middle, const Request& request,
                               Ledger& ledger) {
    std::set<std::string> components;
    for (const auto& site : middle.sites) components.insert(site.component);
    for (const auto& extra : middle.extras) components.insert(extra.component);
    Plan plan;
    for (const auto& component : components) {
      FERRULE_CHECK(FolderWriter(middle, component, request, ledger).write(experts, plan));
    }
    return plan;
  }

 private:
  static std::vector<std::string> components_of(const Look& look) {
    std::vector<std::string> out;
    for (const auto& name : look.names) {
      if (!name.ends_with('/')) continue;
      auto plain = name.substr(0, name.size() - 1);
      if (is_component(plain)) out.push_back(std::move(plain));
    }
    return out;
  }
};

class PeftExperts final : public Peft {
 public:
  PeftExperts(std::string_view name, std::string_view what, Experts experts)
      : name_(name), what_(what), experts_(experts) {}
  std::string_view name() const override { return name_; }
  std::string_view what() const override { return what_; }
  bool detect(const Look& /*look*/) const override { return false; }
  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return write_as(experts_, middle, request, ledger);
  }

 private:
  std::string_view name_, what_;
  Experts experts_;
};

}  // namespace

Result<PeftForm> peft_form(const Middle& middle, const std::string& component,
                           const Request& request, Ledger& ledger) {
  return FolderWriter(middle, component, request, ledger).form(as_they_were(middle, request));
}

const Dialect& peft_dialect() {
  static const Peft kDialect;
  return kDialect;
}
const Dialect& per_expert_dialect() {
  static const PeftExperts kDialect("per-expert", "PEFT with single experts", Experts::kApart);
  return kDialect;
}
const Dialect& fused_expert_dialect() {
  static const PeftExperts kDialect("fused-expert", "PEFT with fused experts", Experts::kFused);
  return kDialect;
}

}  // namespace ferrule::exchange
