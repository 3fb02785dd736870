// SPDX-License-Identifier: Apache-2.0
// AdapterHub's library `adapters`: adapter_config.json with a "config" of its own, and
// pytorch_adapter.bin or adapter.safetensors with keys PATH.loras.NAME.lora_A. IA3 and VeRA call
// themselves "lora" there, too: composition_mode "scale", and vera_b. GPT-2's c_attn has a compact
// form: A of the enabled ones of q, k and v one below the other, B likewise. Read in
// adapters 1.3.0, methods/lora.py.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/adapterhub_writer.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

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

/// q, k and v in one layer, of which the library has those that are enabled.
bool is_merged(std::string_view path) {
  return path.ends_with(".attn.c_attn") || path.ends_with(".self.in_proj");
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
      const auto at = name.find(kAdapterHubLoras);
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
    if (is_merged(path)) {
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

  /// How many of q, k and v there are.
  std::uint64_t enabled_parts() const {
    return static_cast<std::uint64_t>(
        std::count(description_.attention.begin(), description_.attention.end(), true));
  }

  /// How many rows each of q, k and v has.
  Result<std::uint64_t> width_of_part(const std::string& path, const Values& rows) const {
    const auto count = enabled_parts();
    if (count != 0 && rows.dim(0) % count == 0) return rows.dim(0) / count;
    return base::corrupt(
        "EX-8", "module " + quote(path) + " does not have the rows that attn_matrices give");
  }

  /// The rows of q, k and v that are there, in their places; each has columns of its own.
  Result<void> expand(const std::string& path, Parts& parts) const {
    const auto count = enabled_parts();
    FERRULE_TRY(const auto width, width_of_part(path, parts.b));
    if (parts.a.dim(0) != count * description_.rank) {
      return base::corrupt(
          "EX-8", "module " + quote(path) + " does not have the ranks that attn_matrices give");
    }
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
    auto site = site_of(path, parts);
    site.method = "IA3";
    const auto vector = parts.b.scaled(description_.alpha);
    if (is_merged(path)) {
      FERRULE_TRY(site.others["ia3_l"], expand_scaling(path, vector));
    } else {
      site.others["ia3_l"] = vector;
    }
    out_.sites.push_back(std::move(site));
    return {};
  }

  /// The same for q, k and v in one layer: ones for those that are not there.
  Result<Values> expand_scaling(const std::string& path, const Values& vector) const {
    FERRULE_TRY(const auto width, width_of_part(path, vector));
    const std::vector<double> ones(static_cast<std::size_t>(width), 1.0);
    std::vector<Values> rows;
    std::uint64_t next = 0;
    for (const bool enabled : description_.attention) {
      rows.push_back(enabled ? vector.slice(0, next, width)
                             : Values::owned(ones, {width, 1}, vector.dtype()));
      if (enabled) next += width;
    }
    return Values::concatenated(rows, 0);
  }

  const Description& description_;
  const BaseFacts& base_;
  Middle& out_;
};

class AdapterHub final : public Dialect {
 public:
  std::string_view name() const override { return "adapterhub"; }
  std::string_view what() const override { return "the `adapters` library"; }
  const Carries& carries() const override {
    static const Carries kCarries{
        .scale = ScalePlace::kFileAlpha, .extras = {}, .methods = {"IA3"}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    return look.is_folder && look.recognized_as("adapterhub");
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    FERRULE_TRY(const auto description, describe_config(look.config));
    const auto* file = look.has(kAdapterHubSafeFile) ? kAdapterHubSafeFile : kAdapterHubTorchFile;
    if (!look.has(file)) {
      return base::not_found("EX-1",
                             "there is no pytorch_adapter.bin and no adapter.safetensors "
                             "next to the config");
    }
    FERRULE_TRY(const auto opened, look.open(file, request.open));
    Middle out;
    FERRULE_CHECK(Reader(description, request.base, out).read(*opened.tensors));
    const auto model = text_of(field(look.config, "model_name"));
    if (!model.empty()) out.facts.base_model = model;
    out.owners.push_back(opened.tensors);
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    return write_adapterhub(middle, request, ledger);
  }
};

}  // namespace

const Dialect& adapterhub_dialect() {
  static const AdapterHub kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
