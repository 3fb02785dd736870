// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>

#include "adapter/examine.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/experts.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/text.hpp"
#include "peft/strength.hpp"

namespace ferrule::exchange {
namespace {

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

}  // namespace

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

}  // namespace ferrule::exchange
