// SPDX-License-Identifier: Apache-2.0
// mistral-inference and mistral-finetune: lora.safetensors with the names of Mistral's own models,
// and the strength, if anywhere, in params.json ("lora": {"scaling"}). load_lora merges with 2.0
// unless told otherwise, whatever params.json says, so that is what is written. Rows of wq and wk
// are in pairs; a LoRA on the head is skipped on load. Read in mistral-inference 1.6.0, lora.py.
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/factor_map.hpp"
#include "exchange/dialects/layer_names.hpp"
#include "exchange/dialects/uniform.hpp"
#include "exchange/rope_rows.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMistralFile = "lora.safetensors";
constexpr const char* kMistralParams = "params.json";
constexpr double kMistralScaling = 2.0;

constexpr LayerNames::Pair kMistralInside[] = {
    {"self_attn.q_proj", "attention.wq"}, {"self_attn.k_proj", "attention.wk"},
    {"self_attn.v_proj", "attention.wv"}, {"self_attn.o_proj", "attention.wo"},
    {"mlp.gate_proj", "feed_forward.w1"}, {"mlp.down_proj", "feed_forward.w2"},
    {"mlp.up_proj", "feed_forward.w3"},   {"mlp.gate", "feed_forward.gate"}};
constexpr LayerNames::Pair kMistralParts[] = {
    {"gate_proj", "w1"}, {"down_proj", "w2"}, {"up_proj", "w3"}};

constexpr LayerNames kMistralNames{{"model.layers.", "layers."},
                                   kMistralInside,
                                   {},
                                   {"mlp.experts.", "feed_forward.experts."},
                                   kMistralParts};

constexpr FactorSuffix kMistralSuffixes[] = {{".lora_A.weight", &Factors::a},
                                             {".lora_B.weight", &Factors::b}};

class Mistral final : public Dialect {
 public:
  std::string_view name() const override { return "mistral"; }
  std::string_view what() const override { return "mistral-finetune"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kNone, .extras = {}, .methods = {}};
    return kCarries;
  }

  bool detect(const Look& look) const override { return look.recognized_as("mistral"); }

  Result<Middle> read(const Look& look, const Request& request) const override {
    const auto folder = look.is_folder ? look.path : look.path.parent_path();
    FERRULE_TRY(const double scale, strength(request, folder));
    auto tensors = look.tensors;
    if (look.is_folder) {
      FERRULE_TRY(const auto opened, look.open(kMistralFile, request.open));
      tensors = opened.tensors;
    }
    FERRULE_TRY(const auto heads, heads_of(request.base, kWhy));
    const RowMover rows(heads, halved_rows);
    FERRULE_TRY(auto modules, read_factors(*tensors, kMistralSuffixes, "mistral-inference"));
    Middle out;
    for (auto& [path, factors] : modules) {
      const auto renamed = kMistralNames.to_transformers(path);
      if (!renamed) {
        return base::unsupported("EX-5", "module " + quote(path) +
                                             " is none of those that Mistral's models share with "
                                             "transformers");
      }
      Site site;
      site.path = *renamed;
      site.key = factors.key;
      site.a = factors.a;
      FERRULE_TRY(site.b, rows.move(site.path, factors.b));
      site.rank = site.a.dim(0);
      site.scale = scale;
      out.sites.push_back(std::move(site));
    }
    out.owners.push_back(std::move(tensors));
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(const auto heads, heads_of(request.base, kWhy));
    const RowMover rows(heads, paired_rows);
    const Uniform uniform(middle.sites, request, kMistralScaling);
    std::vector<TensorStream> tensors;
    for (const auto& site : middle.sites) {
      const auto path = kMistralNames.from_transformers(site.path);
      if (!path) {
        ledger.lost("modules", site, "Mistral's models have no module for it");
        continue;
      }
      FERRULE_TRY(auto both, uniform.factors(site, ledger));
      FERRULE_TRY(both.b, rows.move(site.path, both.b));
      tensors.push_back(written(both.a, *path + ".lora_A.weight", site.key, request, ledger));
      tensors.push_back(written(both.b, *path + ".lora_B.weight", {}, request, ledger));
    }
    for (const auto& tensor : tensors) {
      if (tensor.dtype == tensors.front().dtype) continue;
      return base::unsupported("EX-3", "load_lora takes factors of one dtype, and these are of " +
                                           std::string(dtype_name(tensors.front().dtype)) +
                                           " and " + std::string(dtype_name(tensor.dtype)) +
                                           "; give --dtype");
    }
    const Json params(Json::Object{
        {"lora",
         Json::Object{{"enable", true}, {"rank", uniform.rank()}, {"scaling", kMistralScaling}}}});
    ledger.note("load_lora multiplies with its own default, 2.0; the factors are made for that");
    Plan plan;
    plan.files.push_back(safetensors_file(kMistralFile, std::move(tensors)));
    plan.files.push_back(text_file(kMistralParams, params.dump_python(2) + "\n"));
    return plan;
  }

 private:
  static constexpr std::string_view kWhy = "Mistral's models have the rows of wq and wk in pairs";

  /// --config or the params.json beside the file: "lora": {"scaling"}, or "scaling" itself.
  static Result<double> strength(const Request& request, const fs::path& folder) {
    FERRULE_TRY(const auto params, read_json(request.config.value_or(folder / kMistralParams)));
    const auto* lora = params.find("lora");
    const auto* scaling =
        lora != nullptr && lora->is_object() ? lora->find("scaling") : params.find("scaling");
    if (scaling == nullptr || !scaling->number()) {
      return base::unsupported("EX-6",
                               "the strength is not in the file: give --config FILE with \"lora\": "
                               "{\"scaling\": ...}, such as the run's params.json");
    }
    return *scaling->number();
  }
};

}  // namespace

const Dialect& mistral_dialect() {
  static const Mistral kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
