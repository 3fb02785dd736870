// SPDX-License-Identifier: Apache-2.0
// diffusers: one file with PEFT's names behind each model's, and PEFT's configs in the header
// (lora_adapter_metadata). Older files and those of other trainers have other spellings and an
// alpha beside the factors, or none: then the strength is 1.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/image/file_key.hpp"
#include "exchange/dialects/image/image_file.hpp"
#include "exchange/dialects/image/model_names.hpp"
#include "exchange/dialects/image/site_reader.hpp"
#include "exchange/dialects/peft_config.hpp"
#include "exchange/dialects/peft_factors.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"
#include "peft/strength.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kMetadata = "lora_adapter_metadata";
constexpr const char* kFile = "pytorch_lora_weights.safetensors";

/// The header's configs by component; "" is one without a component.
Result<std::map<std::string, Json>> configs_in(const std::string& text, const Middle& middle) {
  FERRULE_TRY(const auto document, Json::parse(text, {.depth = 32, .allow_nan = true}));
  const auto* fields = document.if_object();
  if (fields == nullptr) {
    return base::corrupt("EX-8", std::string(kMetadata) + " in the header is not an object");
  }
  std::map<std::string, Json> out;
  for (const auto& site : middle.sites) {
    if (!out.try_emplace(site.component, Json::Object{}).second) continue;
    const auto prefix = site.component + ".";
    for (const auto& [name, value] : *fields) {
      if (!site.component.empty() && name.starts_with(prefix)) {
        out[site.component].set(name.substr(prefix.size()), value);
      }
    }
  }
  // save_lora_adapter writes the fields of its only model as they are.
  if (out.size() == 1 && document.find("r") != nullptr) out.begin()->second = document;
  return out;
}

/// What the config says of rank and alpha, instead of what the shapes do.
Result<void> apply(const AdapterConfig& config, const std::string& component, Middle& middle) {
  FERRULE_TRY(const auto resolver, peft::StrengthResolver::compile(config));
  for (auto& site : middle.sites) {
    if (site.component != component) continue;
    FERRULE_TRY(const auto resolved, resolver.resolve(site.path));
    if (!resolved.strength || !resolved.rank) continue;
    if (site.method == "LORA" && *resolved.rank != static_cast<double>(site.rank)) {
      return base::corrupt("EX-8", "the header gives " + quote(site.name()) + " the rank " +
                                       std::to_string(static_cast<std::int64_t>(*resolved.rank)) +
                                       ", and its tensors have " + std::to_string(site.rank));
    }
    site.rank = static_cast<std::uint64_t>(*resolved.rank);
    site.scale = *resolved.strength;
    site.alpha.reset();
    if (resolved.alpha && *resolved.alpha / *resolved.rank == site.scale) {
      site.alpha = resolved.alpha;
    }
  }
  return {};
}

Result<void> read_configs(const Metadata& metadata, Middle& middle) {
  const auto found = std::find_if(metadata.begin(), metadata.end(),
                                  [](const auto& entry) { return entry.first == kMetadata; });
  if (found == metadata.end()) return {};
  FERRULE_TRY(auto configs, configs_in(found->second, middle));
  for (auto& [component, fields] : configs) {
    if (fields.if_object() == nullptr || fields.if_object()->empty()) continue;
    if (fields.find("peft_type") == nullptr) fields.set("peft_type", "LORA");
    FERRULE_TRY(const auto config, AdapterConfig::parse(fields.dump()));
    FERRULE_CHECK(apply(config, component, middle));
    middle.facts.base_model = config.base_model_name_or_path();
    middle.facts.peft_configs[component] = config.document();
  }
  return {};
}

/// Fields that every version of PEFT which diffusers works with knows, and others that are not as
/// they are anyway.
Result<Json::Object> fields_of(const AdapterConfig& config) {
  static const std::set<std::string, std::less<>> kAlways = {
      "peft_type",      "r",        "lora_alpha",     "rank_pattern",     "alpha_pattern",
      "target_modules", "use_dora", "use_rslora",     "lora_bias",        "lora_dropout",
      "bias",           "alpha",    "decompose_both", "decompose_factor", "use_effective_conv2d"};
  FERRULE_TRY(const auto usual, AdapterConfig::make(config.peft_type()));
  FERRULE_TRY(const auto document, Json::parse(config.to_json(), {.depth = 32, .allow_nan = true}));
  Json::Object out;
  for (const auto& [name, value] : *document.if_object()) {
    const auto* normal = usual.find(name);
    if (kAlways.contains(name) || normal == nullptr || !(*normal == value)) {
      out.emplace_back(name, value);
    }
  }
  return out;
}

class Writer {
 public:
  Writer(const Middle& middle, const Request& request, Ledger& ledger)
      : middle_(middle), request_(request), file_(request, ledger), names_(middle, request.base) {}

  Result<Plan> write() {
    std::map<std::string, std::vector<PeftLayer>> layers;
    std::map<std::string, std::string> prefixes;
    for (const auto& site : middle_.sites) {
      const auto component = names_.of(site);
      if (component.empty()) {
        return base::unsupported("EX-3",
                                 "files of diffusers hold adapters of models of images, and " +
                                     quote(site.name()) +
                                     " is not known to be a module of one; --base names the "
                                     "model");
      }
      prefixes[site.component] = component;
      add(site, component + "." + site.path);
      layers[site.component].push_back({.path = site.path,
                                        .rank = site.rank,
                                        .scale = site.scale,
                                        .alpha = site.alpha,
                                        .is_parameter = false,
                                        .kind = site.kind});
    }
    Json::Object fields;
    for (const auto& [component, list] : layers) {
      FERRULE_TRY(const auto config, peft_config(middle_, component, list, request_.base));
      FERRULE_TRY(const auto own, fields_of(config));
      for (const auto& [name, value] : own) {
        fields.emplace_back(prefixes[component] + "." + name, value);
      }
    }
    Plan plan;
    plan.files.push_back(safetensors_file(
        {}, file_.take(), {{"format", "pt"}, {kMetadata, Json(std::move(fields)).dump_python()}}));
    return plan;
  }

 private:
  void add(const Site& site, const std::string& stem) {
    if (!site.a.empty()) {
      file_.add(site.a, stem + ".lora_A.weight", site.key);
      file_.add(site.b, stem + ".lora_B.weight", {});
    }
    if (!site.magnitude.empty()) {
      file_.add(peft_magnitude(site), stem + ".lora_magnitude_vector", {});
    }
    if (!site.bias.empty()) file_.add(site.bias, stem + ".lora_B.bias", {});
    for (const auto& [role, values] : site.others) {
      file_.add(values, stem + "." + role, site.key);
    }
  }

  const Middle& middle_;
  const Request& request_;
  ImageFile file_;
  SiteComponents names_;
};

/// A name that belongs to one of a pipeline's models and to no other program's adapters.
bool is_component_name(std::string_view name) {
  for (const std::string_view head :
       {"unet.", "text_encoder.", "text_encoder_2.", "text_encoder_3.", "diffusion_model.",
        "model.diffusion_model.", "conditional_transformer.", "text_encoders.",
        "text_embedding_projection."}) {
    if (name.starts_with(head)) return true;
  }
  // Files of Flux' trainers may have PEFT's prefix, those of others no prefix at all.
  for (const std::string_view head : {"base_model.model.", "transformer.", "transformer_2."}) {
    if (name.starts_with(head)) name.remove_prefix(head.size());
  }
  const auto key = split_file_key(name);
  if (!key.known) return false;
  const auto path = modern_path(key.module, "transformer");
  const auto component = component_of_module(path);
  return component == "unet" || component == "transformer" || is_original_path(path);
}

bool has_component_names(const TensorSource& source) {
  return std::any_of(source.tensors().begin(), source.tensors().end(),
                     [](const auto& tensor) { return is_component_name(tensor.name); });
}

class Diffusers final : public Dialect {
 public:
  std::string_view name() const override { return "diffusers"; }
  std::string_view what() const override { return "a LoRA of diffusers"; }
  bool is_file() const override { return true; }

  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kSite,
                                  .dora = true,
                                  .bias = true,
                                  .conv = true,
                                  .components = true,
                                  .plain_model = false,
                                  .methods = {"LOKR"}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    if (look.is_folder) return look.config.is_null() && look.has(kFile);
    if (look.tensors == nullptr) return false;
    if (look.recognized_as(name())) return true;
    if (look.key_dialect != nullptr) return false;
    const bool described = std::any_of(look.metadata.begin(), look.metadata.end(),
                                       [](const auto& entry) { return entry.first == kMetadata; });
    return described || has_component_names(*look.tensors);
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    if (look.trouble) return *look.trouble;
    if (look.is_folder) {
      FERRULE_TRY(const auto opened, open_tensors(look.at(kFile), request.open));
      return read_file(opened, request);
    }
    if (look.tensors == nullptr) {
      return base::unsupported("EX-1", std::string(what()) + " is one file of tensors");
    }
    return read_file({look.tensors, look.metadata}, request);
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return Writer(middle, request, ledger).write();
  }

 private:
  static Result<Middle> read_file(const OpenedTensors& opened, const Request& request) {
    FERRULE_TRY(auto middle, read_image_file(opened.tensors, opened.metadata, request));
    const bool described = std::any_of(opened.metadata.begin(), opened.metadata.end(),
                                       [](const auto& entry) { return entry.first == kMetadata; });
    for (const auto& [name, tensor] : opened.tensors->tensors()) {
      if (!described || !name.ends_with(".alpha")) continue;
      return base::corrupt("EX-8", "the header has " + std::string(kMetadata) +
                                       " and there is an " + quote(name) +
                                       ": which of them holds is not known, and "
                                       "diffusers refuses such a file");
    }
    FERRULE_CHECK(read_configs(opened.metadata, middle));
    return middle;
  }
};

}  // namespace

const Dialect& diffusers_dialect() {
  static const Diffusers kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
