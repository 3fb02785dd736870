// SPDX-License-Identifier: Apache-2.0
// PEFT's own folders: adapter_config.json and adapter_model.safetensors; of an image model one
// folder a component.
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

std::string_view without_prefix(std::string_view key) {
  if (key.starts_with(kPrefix)) key.remove_prefix(kPrefix.size());
  return key;
}

/// PEFT's word for what a config field says of an initialization that changed the base.
std::optional<std::string> changed_base(const AdapterConfig& config) {
  const auto text = config.text("init_lora_weights");
  if (!text) return std::nullopt;
  for (const auto* word : {"pissa", "olora", "corda", "loftq", "lora_ga", "eva_residual"}) {
    if (text->starts_with(word)) return text;
  }
  return std::nullopt;
}

/// Turns one opened adapter into sites and extras of a component.
class AdapterReader {
 public:
  AdapterReader(const Adapter& adapter, std::string component, const BaseFacts& base, Middle& out)
      : adapter_(adapter), component_(std::move(component)), base_(base), out_(out) {}

  Result<void> read() {
    const auto& config = adapter_.config();
    const auto& type = config.peft_type();
    if (type != "LORA" && type != "LOHA" && type != "LOKR" && type != "IA3" && type != "VERA") {
      return base::unsupported("EX-3", "adapters of the method " + type + " are not converted");
    }
    for (const auto* field : {"use_bdlora", "layer_replication", "kasa_config", "use_qalora"}) {
      const auto* value = config.find(field);
      if (value == nullptr || value->is_null() || *value == Json(false)) continue;
      return base::unsupported("EX-3", "the config's " + std::string(field) +
                                           " changes what the factors mean; such adapters are not "
                                           "converted");
    }
    for (const auto& module : adapter_.modules()) FERRULE_CHECK(read_module(module));
    auto& facts = out_.facts;
    facts.base_model = config.base_model_name_or_path();
    facts.revision = config.text("revision");
    facts.task_type = config.task_type();
    facts.dropout = config.number("lora_dropout").value_or(0);
    facts.peft_configs[component_] = config.document();
    facts.changed_base = changed_base(config);
    read_tokens(config);
    return {};
  }

 private:
  void read_tokens(const AdapterConfig& config) {
    const auto* tokens = config.find("alora_invocation_tokens");
    if (tokens == nullptr || tokens->if_array() == nullptr) return;
    for (const auto& token : *tokens->if_array()) {
      if (const auto* id = token.if_int64()) out_.facts.invocation_tokens.push_back(*id);
    }
  }

  Result<void> read_module(const AdapterModule& module) {
    Site site;
    site.component = component_;
    site.path = module.path();
    site.method = adapter_.config().peft_type();
    bool any = false;
    for (const auto& tensor : module.tensors()) {
      if (tensor.tensor.shape().size() > Values::kMaxDims) {
        return base::unsupported("EX-8", "tensor " + quote(tensor.key) + " has " +
                                             std::to_string(tensor.tensor.shape().size()) +
                                             " dimensions");
      }
      if (place(tensor, site)) {
        any = true;
        if (site.key.empty()) site.key = tensor.key;
        continue;
      }
      FERRULE_CHECK(read_extra(tensor));
    }
    if (!any) return {};
    const auto& resolved = module.resolved();
    site.scale = module.strength();
    site.rank =
        site.a.empty() ? static_cast<std::uint64_t>(resolved.rank.value_or(0)) : site.a.dim(0);
    if (resolved.alpha && resolved.rank && *resolved.alpha / *resolved.rank == site.scale) {
      site.alpha = resolved.alpha;
    }
    if (site.a.shape().size() > 2) site.kind = SiteKind::kConv;
    const auto paths = peft::pattern_paths(adapter_.config(), module.path());
    if (!adapter_.config().target_parameters().empty() && site.method == "LORA" &&
        (paths.size() != 1 || paths.front() != module.path())) {
      return split_parameter(site, paths.front(), resolved.rank.value_or(0), base_, out_);
    }
    if (site.path.find("block_sparse_moe") != std::string::npos) out_.facts.old_names = true;
    // Experts of image models (HiDream) have names of their own.
    if (component_.empty()) site.path = canonical_path(site.path);
    out_.sites.push_back(std::move(site));
    return {};
  }

  /// True if the tensor is part of the site.
  static bool place(const AdapterTensor& tensor, Site& site) {
    const auto values = [&] { return Values::of(tensor.tensor); };
    if (tensor.role == "lora_A") return site.a = values(), true;
    if (tensor.role == "lora_B" && tensor.leaf == "bias") return site.bias = values(), true;
    if (tensor.role == "lora_B") return site.b = values(), true;
    if (tensor.role == "lora_magnitude_vector") return site.magnitude = values(), true;
    if (tensor.role == "lora_embedding_A" || tensor.role == "lora_embedding_B") {
      site.kind = SiteKind::kEmbedding;
      (tensor.role.back() == 'A' ? site.a : site.b) = values();
      return true;
    }
    if (tensor.role.empty() || tensor.role == "modules_to_save" || tensor.role == "bias" ||
        tensor.role == "embedding" || tensor.role == "trainable_tokens") {
      return false;
    }
    site.others[std::string(tensor.role)] = values();
    return true;
  }

  Result<void> read_extra(const AdapterTensor& tensor) {
    if (tensor.role.empty()) {
      return base::unsupported("EX-5", "tensor " + quote(tensor.key) + " is of no known role");
    }
    out_.extras.push_back({.component = component_,
                           .path = std::string(without_prefix(tensor.key)),
                           .role = std::string(tensor.role),
                           .values = Values::of(tensor.tensor),
                           .key = std::string(tensor.key)});
    return {};
  }

  const Adapter& adapter_;
  std::string component_;
  const BaseFacts& base_;
  Middle& out_;
};

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
    for (const auto& site : plain) add_site(site);
    for (const auto& extra : middle_.extras) {
      if (extra.component == component_) add(extra.values, extra.path, extra.key);
    }
    FERRULE_TRY(auto config, peft_config(middle_, component_, layers_, request_.base));
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
    // The router beside fused experts is not a linear layer: PEFT adapts its weight as a parameter.
    const bool router = has_fused_ && site.path.ends_with(".mlp.gate");
    layers_.push_back({.path = router ? site.path + ".weight" : site.path,
                       .rank = site.rank,
                       .scale = site.scale,
                       .alpha = site.alpha,
                       .is_parameter = router,
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

Result<void> read_peft(Adapter adapter, const std::string& component, const Request& request,
                       Middle& out) {
  auto kept = std::make_shared<Adapter>(std::move(adapter));
  for (const auto& finding : kept->findings()) {
    if (finding.severity != Severity::kError) continue;
    return base::corrupt(finding.rule, finding.message);
  }
  FERRULE_CHECK(AdapterReader(*kept, component, request.base, out).read());
  out.owners.push_back(std::move(kept));
  return {};
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
