// SPDX-License-Identifier: Apache-2.0
// torchtune: adapter_model.pt with names of torchtune's own models, and an adapter_config.json with
// r and lora_alpha. Rows of q and k are in pairs (Meta's order) in the models that torchtune
// permutes on load, magnitudes of DoRA like them; q, k and v, and gate and up, are always apart.
// Read in 0.6.1: models/convert_weights.py, models/*/_convert_weights.py,
// training/checkpointing/_checkpointer.py, modules/peft/_utils.py.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/factor_map.hpp"
#include "exchange/dialects/fused_modules.hpp"
#include "exchange/dialects/layer_names.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/dialects/uniform.hpp"
#include "exchange/dialects/whole_layers.hpp"
#include "exchange/rope_rows.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTorchtuneFile = "adapter_model.pt";

constexpr LayerNames::Pair kTorchtuneInside[] = {{"self_attn.q_proj", "attn.q_proj"},
                                                 {"self_attn.k_proj", "attn.k_proj"},
                                                 {"self_attn.v_proj", "attn.v_proj"},
                                                 {"self_attn.o_proj", "attn.output_proj"},
                                                 {"mlp.gate_proj", "mlp.w1"},
                                                 {"mlp.down_proj", "mlp.w2"},
                                                 {"mlp.up_proj", "mlp.w3"}};
constexpr LayerNames::Pair kTorchtuneOutside[] = {{"lm_head", "output"}};
constexpr LayerNames kTorchtuneNames{
    {"model.layers.", "layers."}, kTorchtuneInside, kTorchtuneOutside};

constexpr FactorSuffix kTorchtuneSuffixes[] = {{".lora_a.weight", &Factors::a},
                                               {".lora_b.weight", &Factors::b},
                                               {".magnitude", &Factors::magnitude}};

enum class Rows { kAsTheyAre, kPaired };

/// Which models torchtune permutes on load. Fails with kUnsupported (EX-4) without a base, or for a
/// model that torchtune splits or does not have.
Result<Rows> torchtune_rows(const BaseFacts& base) {
  constexpr std::array kPaired = {"llama", "mistral", "gemma", "gemma2"};
  constexpr std::array kPlain = {"phi3", "qwen2"};
  const auto type = model_type_of(base);
  if (std::find(kPaired.begin(), kPaired.end(), type) != kPaired.end()) return Rows::kPaired;
  if (std::find(kPlain.begin(), kPlain.end(), type) != kPlain.end()) return Rows::kAsTheyAre;
  if (type.empty()) {
    return base::unsupported("EX-4",
                             "--base with the model's config.json is needed: the order of the rows "
                             "of q and k in torchtune depends on the model");
  }
  return base::unsupported("EX-4", "torchtune's form of " + quote(type) +
                                       " models is not known (known are gemma, gemma2, llama, "
                                       "mistral, phi3 and qwen2)");
}

Result<RowMover> row_mover(const BaseFacts& base,
                           RowOrder (*order)(std::uint64_t heads, std::uint64_t width)) {
  FERRULE_TRY(const auto rows, torchtune_rows(base));
  if (rows == Rows::kAsTheyAre) return RowMover();
  FERRULE_TRY(const auto heads, heads_of(base, "torchtune has the rows of q and k in pairs"));
  return RowMover(heads, order);
}

/// lora_attn_modules and apply_lora_to_mlp, in transformers' names.
std::vector<LayerSwitch> torchtune_switches() {
  std::vector<LayerSwitch> out;
  LayerSwitch mlp;
  for (const auto& [hf, own] : kTorchtuneInside) {
    if (own.starts_with("mlp.")) {
      mlp.push_back({std::string(hf), own == "mlp.w2", {}});
    } else {
      out.push_back({{std::string(hf), false, {}}});
    }
  }
  out.push_back(std::move(mlp));
  return out;
}

class Torchtune final : public Dialect {
 public:
  std::string_view name() const override { return "torchtune"; }
  std::string_view what() const override { return "torchtune"; }
  const Carries& carries() const override {
    static const Carries kCarries{
        .scale = ScalePlace::kFileAlpha, .dora = true, .extras = {}, .methods = {}};
    return kCarries;
  }

  /// Its adapter_model.pt. A folder in which torchtune wrote PEFT's form beside it is PEFT's.
  bool detect(const Look& look) const override {
    if (!look.is_folder) return look.recognized_as("torchtune");
    return look.has(kTorchtuneFile) && !look.has(kSafetensorsFile) && !look.has(kBinFile) &&
           look.recognized_as("torchtune");
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    const auto folder = look.is_folder ? look.path : look.path.parent_path();
    FERRULE_TRY(const auto scale, strength(request, folder));
    auto tensors = look.tensors;
    if (look.is_folder) {
      FERRULE_TRY(const auto opened, look.open(kTorchtuneFile, request.open));
      tensors = opened.tensors;
    }
    FERRULE_TRY(auto modules, read_factors(*tensors, kTorchtuneSuffixes, "torchtune"));
    FERRULE_TRY(const auto rows, row_mover(request.base, halved_rows));
    Middle out;
    for (auto& [path, factors] : modules) {
      const auto renamed = kTorchtuneNames.to_transformers(path);
      if (!renamed) {
        return base::unsupported("EX-5", "module " + quote(path) +
                                             " is none of those that torchtune shares with "
                                             "transformers");
      }
      Site site;
      site.path = *renamed;
      site.key = factors.key;
      site.a = factors.a;
      FERRULE_TRY(site.b, rows.move(site.path, factors.b));
      if (!factors.magnitude.empty()) {
        FERRULE_TRY(site.magnitude, rows.move(site.path, factors.magnitude));
      }
      site.rank = site.a.dim(0);
      site.alpha = scale.alpha;
      site.scale = scale.alpha / static_cast<double>(scale.rank);
      if (site.rank != scale.rank) {
        return base::corrupt("EX-8", "module " + quote(path) + " has rank " +
                                         std::to_string(site.rank) + ", and the config says " +
                                         std::to_string(scale.rank));
      }
      out.sites.push_back(std::move(site));
    }
    FERRULE_CHECK(join_parts(out.sites, request.base));
    out.owners.push_back(std::move(tensors));
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(const auto rows, row_mover(request.base, paired_rows));
    FERRULE_TRY(auto sites, with_parts_apart(middle.sites, request.base));
    FERRULE_CHECK(complete_layers(sites, kTorchtuneNames.layers.first, torchtune_switches(),
                                  request.base, "torchtune"));
    const Uniform uniform(sites, request);
    std::vector<TensorStream> tensors;
    std::set<std::string> targets;
    for (const auto& site : sites) {
      const auto path = kTorchtuneNames.from_transformers(site.path);
      if (!path) {
        ledger.lost("modules", site, "torchtune's models have no module for it");
        continue;
      }
      FERRULE_TRY(auto both, uniform.factors(site, ledger));
      FERRULE_TRY(both.b, rows.move(site.path, both.b));
      tensors.push_back(written(both.a, *path + ".lora_a.weight", site.key, request, ledger));
      tensors.push_back(written(both.b, *path + ".lora_b.weight", {}, request, ledger));
      if (!site.magnitude.empty()) {
        const auto flat = site.magnitude.reshaped({site.magnitude.element_count()});
        FERRULE_TRY(const auto magnitude, rows.move(site.path, flat));
        tensors.push_back(written(magnitude, *path + ".magnitude", {}, request, ledger));
      }
      targets.insert(site.path.substr(site.path.rfind('.') + 1));
    }
    const Json config(Json::Object{{"r", uniform.rank()},
                                   {"lora_alpha", uniform.alpha()},
                                   {"target_modules", Json::Array(targets.begin(), targets.end())},
                                   {"peft_type", "LORA"}});
    Plan plan;
    plan.files.push_back(torch_file(kTorchtuneFile, std::move(tensors)));
    plan.files.push_back(text_file(kConfigFile, config.dump_python(-1)));
    plan.stale = {kSafetensorsFile, kBinFile};
    return plan;
  }

 private:
  struct Strength {
    double alpha = 0;
    std::uint64_t rank = 0;
  };

  /// --config, or the adapter_config.json that torchtune writes beside the file.
  static Result<Strength> strength(const Request& request, const fs::path& folder) {
    const auto path = request.config.value_or(folder / kConfigFile);
    FERRULE_TRY(const auto config, read_json(path));
    const auto* rank = config.find("r");
    const auto* alpha = config.find("lora_alpha");
    if (rank == nullptr || rank->if_int64() == nullptr || *rank->if_int64() < 1 ||
        alpha == nullptr || !alpha->number()) {
      return base::unsupported("EX-6",
                               "the strength is not in the file: give --config FILE with r and "
                               "lora_alpha, such as the adapter_config.json of the epoch's folder");
    }
    return Strength{*alpha->number(), static_cast<std::uint64_t>(*rank->if_int64())};
  }
};

}  // namespace

const Dialect& torchtune_dialect() {
  static const Torchtune kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
