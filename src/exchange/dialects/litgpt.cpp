// SPDX-License-Identifier: Apache-2.0
// LitGPT: lit_model.pth.lora, a torch file of {"model": state dict} with the names of LitGPT's own
// models; q, k and v are one layer. Strength and targets are in the run's hyperparameters.yaml.
// Read in litgpt 0.5.13: lora.py (LoRAQKVLinear), scripts/merge_lora.py.
#include <array>
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/factor_map.hpp"
#include "exchange/dialects/fused_modules.hpp"
#include "exchange/dialects/litgpt_models.hpp"
#include "exchange/dialects/uniform.hpp"
#include "exchange/dialects/whole_layers.hpp"
#include "exchange/rope_rows.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "format/card/front_matter.hpp"
#include "io/kind_at.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLitgptFile = "lit_model.pth.lora";
constexpr const char* kLitgptSettings = "hyperparameters.yaml";
constexpr std::string_view kLitgptKey = "model";

constexpr FactorSuffix kLitgptSuffixes[] = {{".lora_A", &Factors::a}, {".lora_B", &Factors::b}};

constexpr std::array<std::string_view, 3> kParts = {"q_proj", "k_proj", "v_proj"};
constexpr std::array<std::string_view, 3> kSwitches = {"lora_query", "lora_key", "lora_value"};

/// What hyperparameters.yaml says.
struct Settings {
  std::uint64_t rank = 0;
  double alpha = 0;
  /// q, k, v; absent if the file does not say.
  std::array<std::optional<bool>, 3> enabled = {};
};

std::optional<double> number_of(const format::YamlBlock& yaml, std::string_view key) {
  const auto* entry = yaml.find(key);
  if (entry == nullptr || entry->kind != format::YamlEntry::Kind::kScalar) return std::nullopt;
  const auto json = Json::parse(entry->text);
  return json ? json->number() : std::nullopt;
}

Result<Settings> read_settings(const Request& request, const fs::path& folder) {
  const auto path = request.config.value_or(folder / kLitgptSettings);
  FERRULE_TRY(const auto kind, io::kind_at(path));
  const auto missing = base::unsupported(
      "EX-6",
      "the strength is not in the file: give --config with the run's hyperparameters.yaml "
      "(lora_r, lora_alpha)");
  if (kind != io::EntryKind::kFile) return missing;
  FERRULE_TRY(const auto text, read_text_file(path));
  FERRULE_TRY(const auto yaml, format::parse_yaml_block(text));
  const auto rank = number_of(yaml, "lora_r");
  const auto alpha = number_of(yaml, "lora_alpha");
  if (!rank || !alpha || *rank < 1 || *rank > 1e6) return missing;
  Settings settings{.rank = static_cast<std::uint64_t>(*rank), .alpha = *alpha};
  for (std::size_t i = 0; i < kSwitches.size(); ++i) {
    const auto* entry = yaml.find(kSwitches[i]);
    if (entry != nullptr) settings.enabled[i] = entry->text == "true";
  }
  return settings;
}

class Reader {
 public:
  Reader(const Settings& settings, const BaseFacts& base, Middle& out)
      : settings_(settings), base_(base), model_(litgpt_model_of(base)), out_(out) {}

  Result<void> read(const TensorSource& source) {
    FERRULE_TRY(auto modules, read_factors(source, kLitgptSuffixes, "LitGPT"));
    for (auto& [path, factors] : modules) {
      if (const auto attention = model_.attention.to_transformers(path)) {
        FERRULE_CHECK(split(*attention, factors));
        continue;
      }
      const auto renamed = model_.names.to_transformers(path);
      if (!renamed) {
        return base::unsupported("EX-5", "module " + quote(path) +
                                             " is none of those that LitGPT's models of the base's "
                                             "type share with transformers");
      }
      FERRULE_CHECK(add(*renamed, factors.a, factors.b, factors.key));
    }
    return join_parts(out_.sites, base_);
  }

 private:
  Result<void> add(std::string path, Values a, Values b, std::string key) {
    if (a.dim(0) != settings_.rank || b.dim(1) != settings_.rank) {
      return base::corrupt("EX-8", "module " + quote(path) + " has rank " +
                                       std::to_string(a.dim(0)) + ", and lora_r is " +
                                       std::to_string(settings_.rank));
    }
    Site site;
    site.path = std::move(path);
    site.a = std::move(a);
    site.b = std::move(b);
    site.key = std::move(key);
    site.rank = settings_.rank;
    site.alpha = settings_.alpha;
    site.scale = settings_.alpha / static_cast<double>(settings_.rank);
    out_.sites.push_back(std::move(site));
    return {};
  }

  /// q, k and v as far as they are there: A one below the other, B likewise.
  Result<void> split(const std::string& attention, const Factors& factors) {
    FERRULE_TRY(const auto heads, heads_of(base_, "LitGPT has q, k and v in one layer"));
    const std::array rows = {heads.query * heads.width, heads.key_value * heads.width,
                             heads.key_value * heads.width};
    FERRULE_TRY(const auto enabled, which(factors, rows));
    std::uint64_t row = 0, rank = 0;
    for (std::size_t i = 0; i < kParts.size(); ++i) {
      if (!enabled[i]) continue;
      FERRULE_CHECK(add(attention + "." + std::string(kParts[i]),
                        factors.a.slice(0, rank, settings_.rank), factors.b.slice(0, row, rows[i]),
                        factors.key));
      row += rows[i];
      rank += settings_.rank;
    }
    return {};
  }

  /// What the settings say, if the shapes agree.
  Result<std::array<bool, 3>> which(const Factors& factors,
                                    const std::array<std::uint64_t, 3>& rows) const {
    std::array<bool, 3> enabled{};
    std::uint64_t count = 0, height = 0;
    for (std::size_t i = 0; i < enabled.size(); ++i) {
      if (!settings_.enabled[i]) {
        return base::unsupported("EX-6", "the settings do not say " + quote(kSwitches[i]) +
                                             ", so the parts of q, k and v cannot be told apart");
      }
      enabled[i] = *settings_.enabled[i];
      if (!enabled[i]) continue;
      ++count;
      height += rows[i];
    }
    if (factors.a.dim(0) != count * settings_.rank || factors.b.dim(0) != height) {
      return base::corrupt("EX-8", "tensor " + quote(factors.key) +
                                       " does not have the rows that lora_query, lora_key, "
                                       "lora_value and the base's heads give");
    }
    return enabled;
  }

  const Settings& settings_;
  const BaseFacts& base_;
  const LitgptModel& model_;
  Middle& out_;
};

/// Joins q, k and v of a layer again.
class Writer {
 public:
  /// `sites`: with the parts of fused modules apart.
  Writer(const Middle& middle, const std::vector<Site>& sites, const Request& request,
         Ledger& ledger)
      : middle_(middle),
        sites_(sites),
        model_(litgpt_model_of(request.base)),
        request_(request),
        ledger_(ledger),
        uniform_(sites, request) {}

  Result<Plan> write() {
    for (const auto& site : sites_) FERRULE_CHECK(place(site));
    for (const auto& [attention, parts] : fused_) FERRULE_CHECK(join(attention, parts));
    Plan plan;
    plan.files.push_back(torch_file(kLitgptFile, std::move(tensors_), std::string(kLitgptKey)));
    plan.files.push_back(text_file(kLitgptSettings, settings()));
    ledger_.note(
        "litgpt merge_lora also wants model_config.yaml and the tokenizer's files of the base's "
        "checkpoint beside these files, and --pretrained_checkpoint_dir");
    return plan;
  }

 private:
  using Parts = std::array<const Site*, 3>;

  Result<void> place(const Site& site) {
    for (std::size_t i = 0; i < kParts.size(); ++i) {
      if (!site.path.ends_with("." + std::string(kParts[i]))) continue;
      const auto attention = site.path.substr(0, site.path.size() - kParts[i].size() - 1);
      if (!model_.attention.from_transformers(attention)) break;
      fused_[attention][i] = &site;
      enabled_[i] = true;
      return {};
    }
    const auto path = model_.names.from_transformers(site.path);
    if (!path) {
      ledger_.lost("modules", site, "LitGPT's models have no module for it");
      return {};
    }
    FERRULE_TRY(const auto both, uniform_.factors(site, ledger_));
    tensors_.push_back(written(both.a, *path + ".lora_A", site.key, request_, ledger_));
    tensors_.push_back(written(both.b, *path + ".lora_B", {}, request_, ledger_));
    return {};
  }

  Result<void> join(const std::string& attention, const Parts& parts) {
    std::vector<Values> a, b;
    std::string key;
    for (const auto* site : parts) {
      if (site == nullptr) continue;
      FERRULE_TRY(const auto both, uniform_.factors(*site, ledger_));
      a.push_back(both.a);
      b.push_back(both.b);
      if (key.empty()) key = site->key;
    }
    const auto path = *model_.attention.from_transformers(attention);
    tensors_.push_back(
        written(Values::concatenated(a, 0), path + ".lora_A", key, request_, ledger_));
    tensors_.push_back(
        written(Values::concatenated(b, 0), path + ".lora_B", {}, request_, ledger_));
    return {};
  }

  /// The fields that scripts/merge_lora.py reads.
  std::string settings() const {
    const auto flag = [](bool value) { return value ? "true\n" : "false\n"; };
    std::string text =
        "checkpoint_dir: " + Json(middle_.facts.base_model.value_or("")).dump() + "\n";
    text += "lora_r: " + std::to_string(uniform_.rank()) + "\n";
    text += "lora_alpha: " + Json(uniform_.alpha()).dump_python(-1) + "\n";
    text += "lora_dropout: " + Json(middle_.facts.dropout).dump_python(-1) + "\n";
    for (std::size_t i = 0; i < kSwitches.size(); ++i) {
      text += std::string(kSwitches[i]) + ": " + flag(enabled_[i]);
    }
    bool attention = false, mlp = false, head = false;
    for (const auto& site : sites_) {
      const auto path = model_.names.from_transformers(site.path).value_or("");
      attention = attention || path.ends_with(".attn.proj");
      mlp = mlp || path.find(".mlp.") != std::string::npos;
      head = head || path == "lm_head";
    }
    text += std::string("lora_projection: ") + flag(attention);
    text += std::string("lora_mlp: ") + flag(mlp);
    return text + "lora_head: " + flag(head);
  }

  const Middle& middle_;
  const std::vector<Site>& sites_;
  const LitgptModel& model_;
  const Request& request_;
  Ledger& ledger_;
  Uniform uniform_;
  std::map<std::string, Parts> fused_;
  std::array<bool, 3> enabled_ = {};
  std::vector<TensorStream> tensors_;
};

/// lora_query, lora_key and lora_value.
std::vector<LayerSwitch> attention_switches(const LitgptModel& model) {
  std::vector<LayerSwitch> out;
  for (const auto part : kParts) {
    const auto& attention = model.attention.inside.front().first;
    out.push_back({{std::string(attention) + "." + std::string(part), false, {}}});
  }
  return out;
}

class Litgpt final : public Dialect {
 public:
  std::string_view name() const override { return "litgpt"; }
  std::string_view what() const override { return "LitGPT"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kFileAlpha, .extras = {}, .methods = {}};
    return kCarries;
  }

  /// The file keeps its tensors below a key, so it is known by its name or by what is below.
  bool detect(const Look& look) const override {
    if (look.is_folder) return look.has(kLitgptFile) && look.config.is_null();
    return look.path.filename() == kLitgptFile || look.recognized_as("litgpt");
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    const auto folder = look.is_folder ? look.path : look.path.parent_path();
    FERRULE_TRY(const auto settings, read_settings(request, folder));
    auto tensors = look.tensors;
    if (!tensors) {
      auto options = request.open;
      if (options.torch_key.empty()) options.torch_key = kLitgptKey;
      FERRULE_TRY(const auto opened,
                  open_tensors(look.is_folder ? look.at(kLitgptFile) : look.path, options));
      tensors = opened.tensors;
    }
    Middle out;
    FERRULE_CHECK(Reader(settings, request.base, out).read(*tensors));
    out.owners.push_back(std::move(tensors));
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(auto sites, with_parts_apart(middle.sites, request.base));
    const auto& model = litgpt_model_of(request.base);
    auto switches = litgpt_switches(model, request.base);
    for (auto& one : attention_switches(model)) switches.push_back(std::move(one));
    FERRULE_CHECK(
        complete_layers(sites, model.names.layers.first, switches, request.base, "LitGPT"));
    return Writer(middle, sites, request, ledger).write();
  }
};

}  // namespace

const Dialect& litgpt_dialect() {
  static const Litgpt kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
