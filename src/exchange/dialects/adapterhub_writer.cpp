// SPDX-License-Identifier: Apache-2.0
// The switches of the `adapters` library are for all layers, but a layer without weights in the
// file keeps those that it starts with, which change nothing (methods/lora.py, loading.py
// of 1.3.0).
#include "exchange/dialects/adapterhub_writer.hpp"

#include <array>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/fused_modules.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/dialects/uniform.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kWrittenName = "adapter";
constexpr std::array<std::string_view, 3> kParts = {"q_proj", "k_proj", "v_proj"};
constexpr std::array<std::string_view, 3> kSwitches = {"q", "k", "v"};

/// Where the library wraps a layer, and the switch for it. Llama's down_proj is its "intermediate".
struct Wrapped {
  std::string_view tail;
  std::string_view name;
};
constexpr Wrapped kWrapped[] = {
    // BERT and its kin, ViT and BEiT (".attention.attention.query"), ALBERT (".attention.query")
    {"self.query", "q"},
    {"self.key", "k"},
    {"self.value", "v"},
    {"attention.query", "q"},
    {"attention.key", "k"},
    {"attention.value", "v"},
    {"intermediate.dense", "intermediate"},
    {"ffn", "intermediate"},
    {"ffn_output", "output"},
    // DeBERTa 2
    {"self.query_proj", "q"},
    {"self.key_proj", "k"},
    {"self.value_proj", "v"},
    // DistilBERT
    {"attention.q_lin", "q"},
    {"attention.k_lin", "k"},
    {"attention.v_lin", "v"},
    {"ffn.lin1", "intermediate"},
    {"ffn.lin2", "output"},
    // Llama, Mistral, BART and its kin, Whisper, CLIP, GPT-J
    {"self_attn.q_proj", "q"},
    {"self_attn.k_proj", "k"},
    {"self_attn.v_proj", "v"},
    {"encoder_attn.q_proj", "q"},
    {"encoder_attn.k_proj", "k"},
    {"encoder_attn.v_proj", "v"},
    {"attn.q_proj", "q"},
    {"attn.k_proj", "k"},
    {"attn.v_proj", "v"},
    {"mlp.down_proj", "intermediate"},
    {"mlp.up_proj", "output"},
    {"fc1", "intermediate"},
    {"fc2", "output"},
    {"mlp.fc_in", "intermediate"},
    {"mlp.fc_out", "output"},
    // T5
    {"SelfAttention.q", "q"},
    {"SelfAttention.k", "k"},
    {"SelfAttention.v", "v"},
    {"EncDecAttention.q", "q"},
    {"EncDecAttention.k", "k"},
    {"EncDecAttention.v", "v"},
    {"DenseReluDense.wi", "intermediate"},
    {"DenseReluDense.wi_1", "intermediate"},
    {"DenseReluDense.wo", "output"},
    // GPT-2
    {"mlp.c_fc", "intermediate"},
    {"mlp.c_proj", "output"}};

std::string_view wrapped_as(std::string_view path) {
  for (const auto& [tail, name] : kWrapped) {
    if (path.ends_with("." + std::string(tail))) return name;
  }
  const bool output = path.ends_with(".output.dense") && !path.ends_with("ttention.output.dense");
  return output ? "output" : std::string_view();
}

class Writer {
 public:
  /// `sites`: with q, k and v of fused layers apart.
  Writer(const Middle& middle, const std::vector<Site>& sites, const Request& request,
         Ledger& ledger)
      : middle_(middle),
        sites_(sites),
        request_(request),
        ledger_(ledger),
        scales_(!sites.empty() && sites.front().method == "IA3"),
        uniform_(sites, request) {}

  Result<Plan> write() {
    for (const auto& site : sites_) {
      if ((site.method == "IA3") != scales_) {
        return base::unsupported("EX-3",
                                 "IA3 and LoRA in one adapter have no form in the "
                                 "`adapters` library");
      }
      FERRULE_CHECK(place(site));
    }
    for (const auto& [stem, parts] : merged_) FERRULE_CHECK(join(stem, parts));
    Plan plan;
    plan.files.push_back(torch_file(kAdapterHubTorchFile, std::move(tensors_)));
    plan.files.push_back(text_file(kConfigFile, config().dump_python(2) + "\n"));
    plan.stale = {kAdapterHubSafeFile, kSafetensorsFile, kBinFile};
    return plan;
  }

 private:
  using Parts = std::array<const Site*, 3>;

  Result<void> place(const Site& site) {
    // The library has GPT-2's and DeBERTa's q, k and v in one layer.
    if (const auto type = model_type_of(request_.base); type == "gpt2" || type == "deberta") {
      for (std::size_t i = 0; i < kParts.size(); ++i) {
        if (!site.path.ends_with("." + std::string(kParts[i]))) continue;
        merged_[site.path.substr(0, site.path.size() - kParts[i].size())][i] = &site;
        used_.insert(kSwitches[i]);
        return {};
      }
    }
    const auto name = wrapped_as(site.path);
    if (name.empty()) {
      ledger_.lost("modules", site, "the `adapters` library wraps no such layer");
      return {};
    }
    if (scales_) return place_scaling(site, name);
    used_.insert(name);
    FERRULE_TRY(const auto both, uniform_.factors(site, ledger_));
    add(site.path, both.a, both.b, site.key);
    return {};
  }

  Result<void> place_scaling(const Site& site, std::string_view name) {
    const auto found = site.others.find("ia3_l");
    if (found == site.others.end() || found->second.shape().size() != 2 ||
        found->second.dim(1) != 1) {
      ledger_.lost("methods", site,
                   "it is IA3 on the inputs of a module, and the `adapters` library multiplies "
                   "outputs");
      return {};
    }
    used_.insert(name);
    tensors_.push_back(
        written(found->second, key_of(site.path, "lora_B"), site.key, request_, ledger_));
    return {};
  }

  /// The enabled ones of q, k and v, one below the other; zeros for one that only other layers
  /// have.
  Result<void> join(const std::string& stem, const Parts& parts) {
    const Site* one = nullptr;
    for (const auto* part : parts) one = part != nullptr ? part : one;
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (!used_.contains(kSwitches[i])) continue;
      if (parts[i] == nullptr) {
        a.push_back(Values::zeros(one->a.dtype(), {uniform_.rank(), one->a.dim(1)}));
        b.push_back(Values::zeros(one->b.dtype(), {one->b.dim(0), uniform_.rank()}));
        continue;
      }
      FERRULE_TRY(const auto both, uniform_.factors(*parts[i], ledger_));
      a.push_back(both.a);
      b.push_back(both.b);
    }
    const auto* name = model_type_of(request_.base) == "gpt2" ? "c_attn" : "in_proj";
    add(stem + name, Values::concatenated(a, 0), Values::concatenated(b, 0), one->key);
    return {};
  }

  static std::string key_of(const std::string& path, std::string_view role) {
    return path + std::string(kAdapterHubLoras) + std::string(kWrittenName) + "." +
           std::string(role);
  }

  void add(const std::string& path, const Values& a, const Values& b, const std::string& key) {
    tensors_.push_back(written(a, key_of(path, "lora_A"), key, request_, ledger_));
    tensors_.push_back(written(b, key_of(path, "lora_B"), {}, request_, ledger_));
  }

  Json config() const {
    Json::Array attention;
    for (const auto name : kSwitches) {
      if (used_.contains(name)) attention.emplace_back(name);
    }
    const auto* model = request_.base.model();
    const bool selfattn = !attention.empty();
    Json::Object config{{"alpha", scales_ ? Json(1) : Json(uniform_.alpha())},
                        {"architecture", "lora"},
                        {"attn_matrices", std::move(attention)},
                        {"composition_mode", scales_ ? "scale" : "add"},
                        {"dropout", scales_ ? 0.0 : middle_.facts.dropout},
                        {"init_weights", scales_ ? "ia3" : "lora"},
                        {"intermediate_lora", used_.contains("intermediate")},
                        {"leave_out", Json::Array()},
                        {"output_lora", used_.contains("output")},
                        {"r", scales_ ? Json(1) : Json(uniform_.rank())},
                        {"selfattn_lora", selfattn},
                        {"use_dora", false},
                        {"use_gating", false}};
    return Json::Object{
        {"config", std::move(config)},
        {"hidden_size",
         model == nullptr ? Json() : Json(model->integer("hidden_size").value_or(0))},
        {"model_class", model == nullptr ? std::string() : model->class_name()},
        {"model_name", middle_.facts.base_model.value_or("")},
        {"model_type", model_type_of(request_.base)},
        {"name", kWrittenName},
        {"version", "adapters.1.3.0"}};
  }

  const Middle& middle_;
  const std::vector<Site>& sites_;
  const Request& request_;
  Ledger& ledger_;
  bool scales_;
  Uniform uniform_;
  std::set<std::string_view> used_;
  std::map<std::string, Parts> merged_;
  std::vector<TensorStream> tensors_;
};

}  // namespace

Result<Plan> write_adapterhub(const Middle& middle, const Request& request, Ledger& ledger) {
  FERRULE_TRY(const auto sites, with_parts_apart(middle.sites, request.base));
  return Writer(middle, sites, request, ledger).write();
}

}  // namespace ferrule::exchange
