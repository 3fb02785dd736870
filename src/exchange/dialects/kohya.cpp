// SPDX-License-Identifier: Apache-2.0
// kohya-ss (sd-scripts) and LyCORIS, which A1111 and ComfyUI load: one file, paths with underscores
// instead of dots, and an alpha beside each pair of factors.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/image/flat_name.hpp"
#include "exchange/dialects/image/image_file.hpp"
#include "exchange/dialects/image/site_reader.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kLycorisFile = "lycoris.safetensors";

/// Writes the sites of all components as one file.
class Writer {
 public:
  Writer(const Middle& middle, const Request& request, Ledger& ledger, bool lycoris)
      : middle_(middle),
        request_(request),
        ledger_(ledger),
        lycoris_(lycoris),
        file_(request, ledger),
        names_(middle, request.base) {}

  Result<std::vector<TensorStream>> write() {
    std::map<std::string, std::vector<Site>> components;
    for (const auto& site : middle_.sites) {
      const bool plain = lycoris_ && site.component.empty();
      auto component = plain ? std::string() : names_.of(site);
      if (component.empty() && !plain) {
        return base::unsupported("EX-3",
                                 "files of kohya-ss hold adapters of models of images, and " +
                                     quote(site.name()) +
                                     " is not known to be a module of one; --base names the "
                                     "model");
      }
      components[std::move(component)].push_back(site);
    }
    for (auto& [component, sites] : components) {
      const bool two = components.contains("text_encoder_2") ||
                       request_.base.component("text_encoder_2") != nullptr ||
                       components.contains("transformer");
      FERRULE_CHECK(write_component(component, sites, two));
    }
    return file_.take();
  }

 private:
  Result<void> write_component(const std::string& component, std::vector<Site>& sites, bool two) {
    if (component == "transformer") {
      const auto* model = model_of_sites(component, sites, request_);
      if (model != nullptr && model->flat_original) {
        FERRULE_TRY(const auto joined, join_original(sites, *model, ledger_));
        for (const auto& site : joined) FERRULE_CHECK(add(site, "lora_unet_"));
      }
    }
    for (const auto& site : sites) {
      FERRULE_TRY(const auto prefix, prefix_of(component, site, two));
      FERRULE_CHECK(add(site, prefix));
    }
    return {};
  }

  static Result<std::string> prefix_of(const std::string& component, const Site& site, bool two) {
    const bool t5 = site.path.find(".SelfAttention.") != std::string::npos ||
                    site.path.find(".DenseReluDense.") != std::string::npos;
    if (component.empty()) return std::string("lycoris_");
    if (component == "unet") return std::string("lora_unet_");
    // ComfyUI and diffusers know the paths of diffusers' transformers by that prefix.
    if (component == "transformer") {
      return std::string(component_of_path(site.path).empty() ? "lora_unet_" : "lora_transformer_");
    }
    // The one text encoder of Lumina 2 and Anima is a model of language.
    const bool language =
        site.path.starts_with("layers.") || site.path.starts_with("model.layers.");
    if (component == "text_encoder") {
      return std::string(two && !language ? "lora_te1_" : "lora_te_");
    }
    if (component == "text_encoder_2") return std::string(t5 ? "lora_te3_" : "lora_te2_");
    if (component == "text_encoder_3") return std::string("lora_te3_");
    if (component == "prior") return std::string("lora_prior_");
    return base::unsupported("EX-3", quote(site.name()) +
                                         " is of a component for which kohya-ss has "
                                         "no prefix");
  }

  Result<void> add(const Site& site, const std::string& prefix) {
    std::string path = flatten(site.path);
    // The level that transformers 5 dropped is in every file of the field.
    if (prefix.starts_with("lora_te") && path.starts_with("encoder_layers_")) {
      path = "text_model_" + path;
    }
    const auto stem = prefix + path;
    if (!stems_.insert(stem).second) {
      return base::unsupported("EX-3", "two modules are called " + quote(stem) +
                                           " once their dots are underscores (" +
                                           quote(site.name()) + ")");
    }
    if (site.method == "LORA") {
      FERRULE_CHECK(add_lora(site, stem));
    } else {
      FERRULE_CHECK(add_others(site, stem));
    }
    if (!site.magnitude.empty()) {
      Shape shape = {site.magnitude.element_count(), 1};
      const bool plane = site.a.empty() && site.kind == SiteKind::kConv;
      shape.resize(plane ? 4 : std::max<std::size_t>(site.a.shape().size(), 2), 1);
      file_.add(site.magnitude.reshaped(shape), stem + ".dora_scale", {});
    }
    return {};
  }

  Result<void> add_lora(const Site& site, const std::string& stem) {
    Values b = site.b;
    double alpha = alpha_of(site);
    if (site.scale == 0) {
      // An alpha of 0 means the rank to kohya-ss.
      FERRULE_TRY(auto folded, fold(site, 0, stored_dtype(b, request_.dtype), ledger_));
      b = std::move(folded.b);
      alpha = static_cast<double>(site.rank);
    }
    file_.add(site.a, stem + ".lora_down.weight", site.key);
    file_.add(b, stem + ".lora_up.weight", {});
    file_.add_number(alpha, stem + ".alpha");
    return {};
  }

  Result<void> add_others(const Site& site, const std::string& stem) {
    const bool whole = site.others.contains("lokr_w1") && site.others.contains("lokr_w2");
    const std::string lead = site.method == "LOHA"             ? "hada_w1_a"
                             : site.others.contains("lokr_w1") ? "lokr_w1"
                                                               : "lokr_w1_a";
    // With two whole factors alpha says nothing; and 0 would mean the rank.
    const bool folded = (whole && site.scale != 1) || site.scale == 0;
    double rank = static_cast<double>(site.rank);
    for (const auto* role : {"lokr_w2_b", "lokr_w1_b", "hada_w1_b"}) {
      const auto found = site.others.find(role);
      if (found == site.others.end()) continue;
      rank = static_cast<double>(found->second.dim(0));
      break;
    }
    if (folded) ledger_.folded(site.name(), site.scale, is_power_of_two(site.scale));
    for (const auto& [role, values] : site.others) {
      const bool scaled = folded && role == lead;
      file_.add(scaled ? values.scaled(site.scale) : values, stem + "." + role,
                role == lead ? site.key : std::string());
    }
    file_.add_number(folded || whole ? rank : site.scale * rank, stem + ".alpha");
    return {};
  }

  const Middle& middle_;
  const Request& request_;
  Ledger& ledger_;
  bool lycoris_;
  ImageFile file_;
  SiteComponents names_;
  std::set<std::string> stems_;
};

class Kohya : public Dialect {
 public:
  std::string_view name() const override { return "kohya"; }
  std::string_view what() const override { return "a LoRA of kohya-ss (sd-scripts)"; }
  bool is_file() const override { return true; }

  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kSite,
                                  .dora = true,
                                  .conv = true,
                                  .components = true,
                                  .plain_model = false,
                                  .methods = {"LOHA", "LOKR"}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    return look.tensors != nullptr && look.recognized_as(name());
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    if (look.trouble) return *look.trouble;
    if (look.tensors == nullptr) {
      return base::unsupported("EX-1", std::string(what()) + " is one file of tensors");
    }
    return read_image_file(look.tensors, look.metadata, request);
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(auto tensors, Writer(middle, request, ledger, false).write());
    Plan plan;
    plan.files.push_back(safetensors_file({}, std::move(tensors), {{"format", "pt"}}));
    return plan;
  }
};

/// The same tensors, of any model.
class Lycoris final : public Kohya {
 public:
  std::string_view name() const override { return "lycoris"; }
  std::string_view what() const override { return "an adapter of LyCORIS"; }
  bool is_file() const override { return false; }

  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kSite,
                                  .dora = true,
                                  .conv = true,
                                  .components = true,
                                  .methods = {"LOHA", "LOKR"}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    if (look.is_folder) return look.has(kLycorisFile);
    return Kohya::detect(look);
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    if (!look.is_folder) return Kohya::read(look, request);
    FERRULE_TRY(const auto opened, open_tensors(look.at(kLycorisFile), request.open));
    return read_image_file(opened.tensors, opened.metadata, request);
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(auto tensors, Writer(middle, request, ledger, true).write());
    Plan plan;
    plan.files.push_back(safetensors_file(kLycorisFile, std::move(tensors), {{"format", "pt"}}));
    return plan;
  }
};

}  // namespace

const Dialect& kohya_dialect() {
  static const Kohya kDialect;
  return kDialect;
}
const Dialect& lycoris_dialect() {
  static const Lycoris kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
