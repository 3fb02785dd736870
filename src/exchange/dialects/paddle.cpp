// SPDX-License-Identifier: Apache-2.0
// PaddleNLP and PaddleFormers: lora_config.json and peft_model-*.safetensors. Factors are
// transposed and have no .weight; lora_config.json has the strength itself ("scaling"). Measured
// with paddleformers 1.2.0.
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/factor_map.hpp"
#include "exchange/dialects/uniform.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kPaddleConfig = "lora_config.json";
constexpr const char* kPaddleFile = "peft_model-00001-of-00001.safetensors";
constexpr const char* kPaddleIndex = "peft_model.safetensors.index.json";

constexpr FactorSuffix kPaddleSuffixes[] = {{".lora_A", &Factors::a}, {".lora_B", &Factors::b}};

bool is_paddle_weights(std::string_view name) {
  return name.starts_with("peft_model") && name.ends_with(".safetensors");
}

/// "scaling" if it is there, else alpha / r (over the root of r with rslora).
Result<double> paddle_scale(const Json& config) {
  const auto number = [&](std::string_view name) -> std::optional<double> {
    const auto* value = config.find(name);
    return value == nullptr ? std::nullopt : value->number();
  };
  if (const auto scaling = number("scaling")) return *scaling;
  const auto rank = number("r"), alpha = number("lora_alpha");
  if (!rank || !alpha || *rank < 1) {
    return base::unsupported("EX-6",
                             "lora_config.json does not say the strength (scaling, or r "
                             "and lora_alpha)");
  }
  const auto* rslora = config.find("rslora");
  return *alpha / (rslora != nullptr && *rslora == Json(true) ? std::sqrt(*rank) : *rank);
}

/// What lora_config.json says that changes what the tensors mean.
Result<void> check_kind(const Json& config) {
  for (const auto* field : {"tensor_model_parallel_size", "tensor_parallel_degree"}) {
    const auto* degree = config.find(field);
    if (degree == nullptr || degree->number().value_or(1) <= 1) continue;
    return base::unsupported("EX-3",
                             "the adapter was saved in parts for tensor parallelism; merge it with "
                             "PaddleNLP first");
  }
  const auto* enabled = config.find("enable_lora_list");
  if (enabled == nullptr || enabled->is_null()) return {};
  return base::unsupported("EX-3",
                           "enable_lora_list leaves parts of fused layers out, and such adapters "
                           "are not converted");
}

/// A weight or bias of the model itself, which trainable_modules asked for.
bool is_whole_tensor(std::string_view name) {
  return name.ends_with(".weight") || name.ends_with(".bias");
}

/// Whole tensors beside the factors: vectors and embeddings, which are the same in transformers.
Result<void> read_whole_tensors(const TensorSource& source, Middle& out) {
  for (const auto& [name, tensor] : source.tensors()) {
    if (!is_whole_tensor(name)) continue;
    const bool vector = tensor.shape().size() == 1;
    if (!vector && !name.ends_with("embed_tokens.weight")) {
      return base::unsupported("EX-3", "tensor " + quote(name) +
                                           " is a whole matrix of trainable_modules, which Paddle "
                                           "and transformers have transposed; such adapters are "
                                           "not converted");
    }
    out.extras.push_back({.component = {},
                          .path = std::string(name),
                          .role = "modules_to_save",
                          .values = Values::of(tensor),
                          .key = std::string(name)});
  }
  return {};
}

class Paddle final : public Dialect {
 public:
  std::string_view name() const override { return "paddle"; }
  std::string_view what() const override { return "PaddleNLP"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kFileScale, .extras = {}, .methods = {}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    return look.is_folder && look.has(kPaddleConfig) &&
           std::any_of(look.names.begin(), look.names.end(), is_paddle_weights);
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    FERRULE_TRY(const auto config, read_json(look.at(kPaddleConfig)));
    if (!config.is_object()) {
      return base::corrupt("EX-6", "lora_config.json is not an object");
    }
    FERRULE_CHECK(check_kind(config));
    FERRULE_TRY(const double scale, paddle_scale(config));
    const auto* trainable = config.find("trainable_modules");
    const bool with_whole = trainable != nullptr && !trainable->is_null();
    Middle out;
    for (const auto& name : look.names) {
      if (!is_paddle_weights(name)) continue;
      FERRULE_TRY(const auto opened, look.open(name, request.open));
      FERRULE_TRY(auto modules, read_factors(*opened.tensors, kPaddleSuffixes, "PaddleNLP",
                                             with_whole ? is_whole_tensor : nullptr));
      if (with_whole) FERRULE_CHECK(read_whole_tensors(*opened.tensors, out));
      for (auto& [path, factors] : modules) out.sites.push_back(site_of(path, factors, scale));
      out.owners.push_back(opened.tensors);
    }
    const auto* gradients = config.find("loraga");
    if (gradients != nullptr && *gradients == Json(true)) out.facts.changed_base = "lora_ga";
    const auto* model = config.find("base_model_name_or_path");
    if (model != nullptr && model->if_string() != nullptr) {
      out.facts.base_model = *model->if_string();
    }
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    const Uniform uniform(middle.sites, request);
    std::vector<TensorStream> tensors;
    Json::Object map;
    std::set<std::string> targets;
    std::uint64_t bytes = 0;
    for (const auto& site : middle.sites) {
      FERRULE_TRY(const auto both, uniform.factors(site, ledger));
      tensors.push_back(
          written(both.a.transposed(), site.path + ".lora_A", site.key, request, ledger));
      tensors.push_back(written(both.b.transposed(), site.path + ".lora_B", {}, request, ledger));
      targets.insert(".*" + site.path.substr(site.path.rfind('.') + 1) + ".*");
    }
    for (const auto& tensor : tensors) {
      map.emplace_back(tensor.name, kPaddleFile);
      std::uint64_t size = bit_width(tensor.dtype) / 8;
      for (const auto extent : tensor.shape) size *= extent;
      bytes += size;
    }
    Plan plan;
    plan.files.push_back(text_file(kPaddleConfig, config(middle, uniform, targets)));
    plan.files.push_back(safetensors_file(kPaddleFile, std::move(tensors), {{"format", "pd"}}));
    const Json index(Json::Object{{"metadata", Json::Object{{"total_size", bytes}}},
                                  {"weight_map", std::move(map)}});
    plan.files.push_back(text_file(kPaddleIndex, index.dump_python(2) + "\n"));
    return plan;
  }

 private:
  static Site site_of(const std::string& path, const Factors& factors, double scale) {
    Site site;
    site.path = path;
    site.key = factors.key;
    site.a = factors.a.transposed();
    site.b = factors.b.transposed();
    site.rank = site.a.dim(0);
    site.scale = scale;
    const double alpha = scale * static_cast<double>(site.rank);
    if (alpha / static_cast<double>(site.rank) == scale) site.alpha = alpha;
    return site;
  }

  static std::string config(const Middle& middle, const Uniform& uniform,
                            const std::set<std::string>& targets) {
    const Json document(
        Json::Object{{"base_model_name_or_path", middle.facts.base_model.value_or("")},
                     {"lora_alpha", uniform.alpha()},
                     {"lora_dropout", middle.facts.dropout},
                     {"r", uniform.rank()},
                     {"rslora", false},
                     {"scaling", uniform.scale()},
                     {"target_modules", Json::Array(targets.begin(), targets.end())},
                     {"tensor_model_parallel_size", 1}});
    return document.dump_python(2) + "\n";
  }
};

}  // namespace

const Dialect& paddle_dialect() {
  static const Paddle kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
