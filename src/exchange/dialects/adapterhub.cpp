// SPDX-License-Identifier: Apache-2.0
// AdapterHub's library `adapters`: adapter_config.json with a "config" of its own, and
// pytorch_adapter.bin or adapter.safetensors with keys PATH.loras.NAME.lora_A. IA3 and VeRA call
// themselves "lora" there, too: composition_mode "scale", and vera_b. GPT-2's c_attn has a compact
// form: A of the enabled ones of q, k and v one below the other, B likewise. Read in
// adapters 1.3.0, methods/lora.py.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/dialects/uniform.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kTorchFile = "pytorch_adapter.bin";
constexpr const char* kSafeFile = "adapter.safetensors";
constexpr std::string_view kLoras = ".loras.";
constexpr std::string_view kWrittenName = "adapter";

/// What adapter_config.json says.
struct Description {
  std::string name;
  std::uint64_t rank = 0;
  double alpha = 0;
  bool scales = false;                 ///< IA3
  std::array<bool, 3> attention = {};  ///< q, k, v
};

const Json* field(const Json& object, std::string_view name) {
  return object.is_object() ? object.find(name) : nullptr;
}

std::string text_of(const Json* value) {
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

bool is_on(const Json* value) { return value != nullptr && *value == Json(true); }

Error refused(std::string what) {
  return base::unsupported("EX-3", "this adapter of the `adapters` library " + std::move(what));
}

Result<Description> describe_config(const Json& document) {
  const auto* config = field(document, "config");
  if (config == nullptr || !config->is_object()) {
    return base::unsupported("EX-6", "adapter_config.json has no \"config\" with the strength");
  }
  const auto architecture = text_of(config->find("architecture"));
  if (architecture != "lora") {
    return refused(architecture.empty()
                       ? "is a bottleneck, which PEFT does not have"
                       : "is of the architecture " + quote(architecture) + ", not of \"lora\"");
  }
  if (is_on(config->find("use_gating"))) return refused("has gates, which PEFT does not have");
  const auto* vera = config->find("vera_b");
  if (vera != nullptr && !vera->is_null()) {
    return refused("is VeRA, whose shared matrices it does not hold");
  }
  if (is_on(config->find("use_dora"))) {
    return refused(
        "uses DoRA, which the library computes otherwise than PEFT: the norm is taken without the "
        "strength, and the bias is multiplied");
  }
  const auto* rank = config->find("r");
  const auto* alpha = config->find("alpha");
  if (rank == nullptr || rank->if_int64() == nullptr || *rank->if_int64() < 1 || alpha == nullptr ||
      !alpha->number()) {
    return base::unsupported("EX-6", "the config does not say r and alpha");
  }
  Description out{.name = text_of(field(document, "name")),
                  .rank = static_cast<std::uint64_t>(*rank->if_int64()),
                  .alpha = *alpha->number(),
                  .scales = text_of(config->find("composition_mode")) == "scale"};
  const auto* matrices = config->find("attn_matrices");
  if (matrices != nullptr && matrices->if_array() != nullptr) {
    for (const auto& matrix : *matrices->if_array()) {
      const auto which = std::string_view("qkv").find(text_of(&matrix));
      if (which < out.attention.size() && text_of(&matrix).size() == 1) out.attention[which] = true;
    }
  }
  return out;
}

/// The name of the model inside of a class with a head ("bert" in BertForSequenceClassification).
std::string_view inner_model(std::string_view model_type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kInner = {
      {{"albert", "albert"},
       {"bert", "bert"},
       {"camembert", "roberta"},
       {"deberta", "deberta"},
       {"deberta-v2", "deberta"},
       {"distilbert", "distilbert"},
       {"electra", "electra"},
       {"gpt2", "transformer"},
       {"llama", "model"},
       {"mistral", "model"},
       {"roberta", "roberta"},
       {"xlm-roberta", "roberta"}}};
  for (const auto& [type, inner] : kInner) {
    if (type == model_type) return inner;
  }
  return {};
}

/// The path as the base has it: the library writes a bare model's names without the inner model's.
std::string path_in_base(const std::string& path, const BaseFacts& base) {
  const auto* model = base.model();
  const auto inner = inner_model(model_type_of(base));
  if (model == nullptr || inner.empty()) return path;
  const auto prefix = std::string(inner) + ".";
  const bool has = path.starts_with(prefix);
  if (!model->modules.empty()) {
    if (model->modules.contains(path)) return path;
    const auto other = has ? path.substr(prefix.size()) : prefix + path;
    return model->modules.contains(other) ? other : path;
  }
  const auto name = model->class_name();
  if (name.empty()) return path;
  const bool bare = name.ends_with("Model") && !name.ends_with("LMHeadModel");
  if (bare && has) return path.substr(prefix.size());
  return !bare && !has ? prefix + path : path;
}

struct Parts {
  Values a, b;
  std::string key;
};

class Reader {
 public:
  Reader(const Description& description, const BaseFacts& base, Middle& out)
      : description_(description), base_(base), out_(out) {}

  Result<void> read(const TensorSource& source) {
    std::map<std::string, Parts> modules;
    for (const auto& [name, tensor] : source.tensors()) {
      const auto at = name.find(kLoras);
      const auto dot = at == std::string_view::npos ? at : name.rfind('.');
      const auto leaf = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
      if ((leaf != "lora_A" && leaf != "lora_B") || tensor.shape().size() != 2 ||
          tensor.element_count() == 0) {
        return base::unsupported("EX-5", "tensor " + quote(name) +
                                             " is none that the `adapters` library writes for "
                                             "LoRA");
      }
      auto& parts = modules[std::string(name.substr(0, at))];
      (leaf == "lora_A" ? parts.a : parts.b) = Values::of(tensor);
      if (parts.key.empty()) parts.key = name;
    }
    for (auto& [path, parts] : modules) {
      FERRULE_CHECK(description_.scales ? add_scaling(path, parts) : add(path, parts));
    }
    return {};
  }

 private:
  Site site_of(const std::string& path, const Parts& parts) const {
    Site site;
    site.path = path_in_base(path, base_);
    site.key = parts.key;
    return site;
  }

  Result<void> add(const std::string& path, Parts& parts) {
    if (parts.a.empty() || parts.b.empty() || parts.b.dim(1) != description_.rank ||
        parts.a.dim(0) % description_.rank != 0) {
      return base::corrupt("EX-8", "module " + quote(path) +
                                       " does not have two factors of the config's rank, " +
                                       std::to_string(description_.rank));
    }
    auto site = site_of(path, parts);
    if (path.ends_with(".c_attn")) {
      FERRULE_CHECK(expand(path, parts));
    } else if (parts.a.dim(0) != description_.rank) {
      return base::corrupt("EX-8", "module " + quote(path) + " has rank " +
                                       std::to_string(parts.a.dim(0)) + ", and the config says " +
                                       std::to_string(description_.rank));
    }
    site.a = parts.a;
    site.b = parts.b;
    site.rank = site.a.dim(0);
    site.scale = description_.alpha / static_cast<double>(description_.rank);
    if (site.rank == description_.rank) site.alpha = description_.alpha;
    out_.sites.push_back(std::move(site));
    return {};
  }

  /// The rows of q, k and v that are there, in their places; each has columns of its own.
  Result<void> expand(const std::string& path, Parts& parts) const {
    const auto count = static_cast<std::uint64_t>(
        std::count(description_.attention.begin(), description_.attention.end(), true));
    if (count == 0 || parts.a.dim(0) != count * description_.rank || parts.b.dim(0) % count != 0) {
      return base::corrupt(
          "EX-8", "module " + quote(path) + " does not have the rows that attn_matrices give");
    }
    const auto width = parts.b.dim(0) / count;
    std::vector<Values> blocks;
    for (std::uint64_t i = 0; i < count; ++i) {
      blocks.push_back(parts.b.slice(0, i * width, width));
    }
    parts.b = spread(count == 1 ? blocks.front() : Values::block_diagonal(blocks), width);
    return {};
  }

  /// `values` has `width` rows for each enabled part: zeros for the others.
  Values spread(const Values& values, std::uint64_t width) const {
    std::vector<Values> rows;
    std::uint64_t next = 0;
    for (const bool enabled : description_.attention) {
      rows.push_back(enabled ? values.slice(0, next, width)
                             : Values::zeros(values.dtype(), {width, values.dim(1)}));
      if (enabled) next += width;
    }
    return Values::concatenated(rows, 0);
  }

  /// IA3: outputs are multiplied with alpha times the vector.
  Result<void> add_scaling(const std::string& path, const Parts& parts) {
    if (!parts.a.empty() || parts.b.empty() || parts.b.dim(1) != 1) {
      return base::corrupt("EX-8", "module " + quote(path) + " does not have one vector");
    }
    if (path.ends_with(".c_attn")) {
      return refused("is IA3 on fused layers, which is not converted");
    }
    auto site = site_of(path, parts);
    site.method = "IA3";
    site.others["ia3_l"] = description_.alpha == 1 ? parts.b : parts.b.scaled(description_.alpha);
    out_.sites.push_back(std::move(site));
    return {};
  }

  const Description& description_;
  const BaseFacts& base_;
  Middle& out_;
};

/// Where the library wraps a layer, and the switch for it. Llama's down_proj is its "intermediate".
struct Wrapped {
  std::string_view tail;
  std::string_view name;
};
constexpr Wrapped kWrapped[] = {{".attention.self.query", "q"},
                                {".attention.self.key", "k"},
                                {".attention.self.value", "v"},
                                {".self_attn.q_proj", "q"},
                                {".self_attn.k_proj", "k"},
                                {".self_attn.v_proj", "v"},
                                {".intermediate.dense", "intermediate"},
                                {".mlp.down_proj", "intermediate"},
                                {".mlp.up_proj", "output"}};

std::string_view wrapped_as(std::string_view path) {
  for (const auto& [tail, name] : kWrapped) {
    if (path.ends_with(tail)) return name;
  }
  const bool output = path.ends_with(".output.dense") && !path.ends_with(".attention.output.dense");
  return output ? "output" : std::string_view();
}

class Writer {
 public:
  Writer(const Middle& middle, const Request& request, Ledger& ledger)
      : middle_(middle), request_(request), ledger_(ledger), uniform_(middle.sites, request) {}

  Result<Plan> write() {
    std::map<std::string, std::set<std::string, std::less<>>> by_layer;
    for (const auto& site : middle_.sites) {
      const auto name = wrapped_as(site.path);
      if (name.empty()) {
        ledger_.lost("modules", site.key, "the `adapters` library wraps no such layer");
        continue;
      }
      const auto tail = site.path.find_last_of("0123456789");
      by_layer[site.path.substr(0, tail == std::string::npos ? 0 : tail + 1)].insert(
          std::string(name));
      used_.insert(std::string(name));
      FERRULE_TRY(const auto both, uniform_.factors(site, ledger_));
      const auto path = site.path + std::string(kLoras) + std::string(kWrittenName);
      tensors_.push_back(written(both.a, path + ".lora_A", site.key, request_, ledger_));
      tensors_.push_back(written(both.b, path + ".lora_B", {}, request_, ledger_));
    }
    for (const auto& [layer, names] : by_layer) {
      if (names == used_) continue;
      return base::unsupported("EX-3", "layer " + quote(layer) +
                                           " has LoRA on other modules than the rest; the "
                                           "switches of the `adapters` library are for all "
                                           "layers");
    }
    Plan plan;
    plan.files.push_back(torch_file(kTorchFile, std::move(tensors_)));
    plan.files.push_back(text_file(kConfigFile, config().dump_python(2) + "\n"));
    plan.stale = {kSafeFile, kSafetensorsFile, kBinFile};
    return plan;
  }

 private:
  Json config() const {
    Json::Array attention;
    for (const auto* name : {"q", "k", "v"}) {
      if (used_.contains(name)) attention.emplace_back(name);
    }
    const auto* model = request_.base.model();
    const bool selfattn = !attention.empty();
    Json::Object config{{"alpha", uniform_.alpha()},
                        {"architecture", "lora"},
                        {"attn_matrices", std::move(attention)},
                        {"composition_mode", "add"},
                        {"dropout", middle_.facts.dropout},
                        {"init_weights", "lora"},
                        {"intermediate_lora", used_.contains("intermediate")},
                        {"leave_out", Json::Array()},
                        {"output_lora", used_.contains("output")},
                        {"r", uniform_.rank()},
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
  const Request& request_;
  Ledger& ledger_;
  Uniform uniform_;
  std::set<std::string, std::less<>> used_;
  std::vector<TensorStream> tensors_;
};

class AdapterHub final : public Dialect {
 public:
  std::string_view name() const override { return "adapterhub"; }
  std::string_view what() const override { return "the `adapters` library"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kFileAlpha, .extras = {}, .methods = {}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    return look.is_folder && look.recognized_as("adapterhub");
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    FERRULE_TRY(const auto description, describe_config(look.config));
    const auto* file = look.has(kSafeFile) ? kSafeFile : kTorchFile;
    if (!look.has(file)) {
      return base::not_found("EX-1",
                             "there is no pytorch_adapter.bin and no adapter.safetensors "
                             "beside the config");
    }
    FERRULE_TRY(const auto opened, open_tensors(look.at(file), request.open));
    Middle out;
    FERRULE_CHECK(Reader(description, request.base, out).read(*opened.tensors));
    const auto model = text_of(field(look.config, "model_name"));
    if (!model.empty()) out.facts.base_model = model;
    out.owners.push_back(opened.tensors);
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return Writer(middle, request, ledger).write();
  }
};

}  // namespace

const Dialect& adapterhub_dialect() {
  static const AdapterHub kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
