// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/module_finder.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/image/flat_name.hpp"
#include "exchange/dialects/image/model_guess.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

/// A prefix of a file's names and the component that it means; "*" is the U-Net or transformer, "?"
/// any.
struct Prefix {
  std::string_view text;
  std::string_view component;
  bool is_flat = false;
};

constexpr Prefix kPrefixes[] = {
    {"lora_unet_", "*", true},
    {"lora_transformer_", "transformer", true},
    {"lora_te1_", "text_encoder", true},
    {"lora_te2_", "text_encoder_2", true},
    {"lora_te3_", "t5", true},
    {"lora_te_", "text_encoder", true},
    {"lora_prior_", "prior", true},
    {"lycoris_", "?", true},
    {"base_model.model.", "?"},
    {"model.diffusion_model.", "*"},
    {"diffusion_model.", "*"},
    {"conditional_transformer.", "*"},
    {"unet.", "unet"},
    {"transformer.", "transformer"},
    {"transformer_2.", "transformer_2"},
    {"text_encoders.clip_l.transformer.", "text_encoder"},
    {"text_encoders.clip_g.transformer.", "text_encoder_2"},
    {"text_encoders.t5xxl.transformer.", "t5"},
    {"text_encoders.clip_h.transformer.", "text_encoder"},
    {"text_encoders.qwen3_06b.transformer.model.", "text_encoder"},
    {"text_encoders.gemma2_2b.transformer.model.", "text_encoder"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder_3.", "text_encoder_3"},
    {"text_conditioner.", "text_conditioner"},
    {"connectors.", "connectors"},
    {"prior.", "prior"},
};

constexpr std::string_view kTextModel = "text_model";
constexpr std::string_view kTransformer = "transformer";

bool is_image_component(std::string_view component) {
  return component.empty() || component == "unet" || component.starts_with(kTransformer);
}

std::string known_archs() {
  std::string out = "sd1, sd2, sdxl";
  for (const auto* model : all_image_models()) out += ", " + std::string(model->name);
  return out;
}

}  // namespace

Result<ModuleFinder> ModuleFinder::make(const Request& request, const Metadata& metadata,
                                        std::span<const RawModule> modules) {
  ModuleFinder out;
  out.learn_base(request.base);
  for (const auto& [component, paths] : request.known) {
    auto& known = out.components_[component];
    known = {.paths = {}, .flat = {}, .base = nullptr, .family = known.family};
    out.learn_paths(component, paths);
  }
  out.only_plain_ = request.known.size() == 1 && request.known.begin()->first.empty();
  if (!request.arch.empty()) FERRULE_CHECK(out.learn_arch(request.arch));
  out.learn_metadata(metadata);
  out.learn_names(modules);
  return out;
}

void ModuleFinder::learn_base(const BaseFacts& base) {
  for (const auto& [name, component] : base.components) {
    auto& known = components_[name];
    known.base = &component;
    const auto class_name = component.class_name();
    known.family = family_of_class(class_name);
    std::set<std::string> paths;
    for (const auto& [path, shape] : component.modules) paths.insert(path);
    learn_paths(name, paths);
    const auto image = component_of_class(class_name);
    if (name.empty()) {
      plain_ = true;
      if (image.empty() || !components_.try_emplace(std::string(image), known).second) continue;
    }
    if (image == "unet" || image == kTransformer) image_ = image;
    if (const auto* model = image_model_of_class(class_name)) {
      model_ = model;
      model_is_given_ = true;
      t5_is_second_ = model->t5_is_second;
    }
    const auto layers = component.integer("layers_per_block");
    if (image == "unet" && layers && *layers > 0 && *layers < 100) {
      sgm_layers_ = static_cast<std::uint64_t>(*layers);
    }
  }
}

void ModuleFinder::learn_paths(const std::string& component, const std::set<std::string>& paths) {
  auto& known = components_[component];
  for (const auto& path : paths) {
    if (known.paths.insert(path).second) known.flat[flatten(path)].push_back(path);
  }
  if (component.empty()) plain_ = true;
  if (component == "unet" || component == kTransformer) image_ = component;
}

void ModuleFinder::learn_model(const ImageModel& model) {
  model_ = &model;
  t5_is_second_ = model.t5_is_second;
  if (image_.empty()) image_ = kTransformer;
  components_.try_emplace(image_);
  components_["text_encoder"].family = model.text_family;
  components_["text_encoder_2"].family = model.t5_is_second ? "t5" : "clip";
  components_["text_encoder_3"].family = "t5";
}

void ModuleFinder::learn_unet() {
  image_ = "unet";
  components_["unet"].family = "unet";
  components_["text_encoder"].family = "clip";
  components_["text_encoder_2"].family = "clip";
  if (!sgm_layers_) sgm_layers_ = 2;
}

Result<void> ModuleFinder::learn_arch(std::string_view arch) {
  for (const auto* unet : {"sd", "sd1", "sd15", "sd1.5", "sd1x", "sd2", "sd2.1", "sd21", "sdxl"}) {
    if (arch == unet) return learn_unet(), Result<void>();
  }
  const auto* model = image_model_called(arch);
  if (model == nullptr) {
    return base::invalid("--arch " + std::string(arch) +
                         " is not an image model that Ferrule knows: " + known_archs());
  }
  learn_model(*model);
  model_is_given_ = true;
  return {};
}

void ModuleFinder::learn_metadata(const Metadata& metadata) {
  if (!components_.empty()) return;
  for (const auto& [key, value] : metadata) {
    if (key != "ss_base_model_version" && key != "modelspec.architecture") continue;
    if (value.starts_with("sdxl_") || value.starts_with("sd_v") ||
        value.starts_with("stable-diffusion-xl") || value.starts_with("stable-diffusion-v")) {
      learn_unet();
    } else if (const auto* model = image_model_in_header(value)) {
      learn_model(*model);
    }
  }
}

void ModuleFinder::learn_names(std::span<const RawModule> modules) {
  if (model_is_given_ || image_ == "unet") return;
  std::vector<NamedModule> named;
  for (const auto& module : modules) {
    const auto name = split(module.name);
    if (name.is_other) continue;
    if (is_sgm(flatten(name.rest)) || component_of_path(name.rest) == "unet") return;
    const auto [rows, columns] = size_of(module);
    const bool kronecker =
        !module.leaves.empty() && module.leaves.rbegin()->first.starts_with("lokr_");
    named.push_back(
        {.name = name.is_flat ? std::string(name.rest) : modern_path(name.rest, kTransformer),
         .flat = name.is_flat,
         .rows = rows,
         .columns = columns,
         .kronecker = kronecker,
         .of_image = name.is_image});
  }
  // What the header says holds as long as the names do not say otherwise.
  if (model_ != nullptr && std::any_of(named.begin(), named.end(), [&](const NamedModule& module) {
        return !modules_called(module.name, *model_, module.flat).empty();
      })) {
    return;
  }
  const auto* model = model_by_names(named);
  if (model == nullptr) return;
  const bool has_base = std::any_of(components_.begin(), components_.end(),
                                    [](const auto& known) { return known.second.base != nullptr; });
  if (has_base) {
    model_ = model;
  } else {
    learn_model(*model);
  }
}

std::vector<std::string> ModuleFinder::image_components(std::string_view rest) const {
  if (!image_.empty()) return {image_};
  const auto by_name = component_of_path(rest);
  if (by_name == "unet" || by_name == kTransformer) return {std::string(by_name)};
  return {"unet", std::string(kTransformer)};
}

/// Of a name whose prefix does not say it.
std::vector<std::string> ModuleFinder::components_of(const Split& split) const {
  if (plain_) return {""};
  const auto by_name = component_of_path(split.rest);
  if (!by_name.empty()) return {std::string(by_name)};
  const auto path = split.is_flat ? std::string(split.rest) : modern_path(split.rest, image_);
  if (model_ != nullptr && !modules_called(path, *model_, split.is_flat).empty()) return {image_};
  if (split.is_flat && components_.empty()) return image_components(split.rest);
  std::vector<std::string> out;
  for (const auto& [name, known] : components_) out.push_back(name);
  return out;
}

ModuleFinder::Split ModuleFinder::split(std::string_view module) const {
  Split out{.components = {}, .rest = module};
  for (const auto& prefix : kPrefixes) {
    if (!module.starts_with(prefix.text)) continue;
    out.rest.remove_prefix(prefix.text.size());
    out.is_flat = prefix.is_flat;
    out.is_original = prefix.component == "*" && !prefix.is_flat;
    if (prefix.component == "*") {
      out.components = image_components(out.rest);
    } else if (prefix.component == "t5") {
      out.components = {t5_is_second_ ? "text_encoder_2" : "text_encoder_3"};
    } else if (prefix.component != "?") {
      out.components = {std::string(prefix.component)};
    }
    out.is_other = !out.components.empty() && !is_image_component(out.components.front());
    break;
  }
  // Only the model itself is known: there is nothing else that a name can mean.
  if (only_plain_ || (plain_ && components_.size() == 1)) out.components = {""};
  if (out.components.empty()) out.components = components_of(out);
  for (const auto& component : out.components) {
    out.is_image = out.is_image || is_image_component(component);
  }
  return out;
}

std::optional<std::string> ModuleFinder::known_path(const Known& known, std::string_view rest,
                                                    bool flat, bool& ambiguous) const {
  const char separator = flat ? '_' : '.';
  const std::string level = std::string(kTextModel) + separator;
  std::vector<std::string> spellings = {std::string(rest)};
  // transformers 5 dropped a level of CLIP's names.
  spellings.push_back(rest.starts_with(level) ? std::string(rest.substr(level.size()))
                                              : level + std::string(rest));
  for (const auto& spelling : spellings) {
    if (!flat) {
      if (known.paths.contains(spelling)) return spelling;
      continue;
    }
    const auto found = known.flat.find(spelling);
    if (found == known.flat.end()) continue;
    ambiguous = found->second.size() > 1;
    return found->second.front();
  }
  return std::nullopt;
}

/// The modules of the transformer that a name means, and that are there.
std::optional<FusedModule> ModuleFinder::known_modules(const Known& known, std::string_view rest,
                                                       bool flat) const {
  if (model_ == nullptr) return std::nullopt;
  auto found = modules_called(rest, *model_, flat);
  const auto there = [&](const std::string& path) { return known.paths.contains(path); };
  for (auto& modules : found) {
    if (!modules.component.empty()) return std::move(modules);
    if (std::all_of(modules.paths.begin(), modules.paths.end(), there)) return std::move(modules);
  }
  // What was written may join a module that has an adapter with others that have none.
  if (known.base != nullptr) return std::nullopt;
  for (auto& modules : found) {
    if (std::any_of(modules.paths.begin(), modules.paths.end(), there)) return std::move(modules);
  }
  return std::nullopt;
}

Placed ModuleFinder::placed(const std::string& component, FusedModule modules) const {
  Placed out{.component = modules.component.empty() ? component : modules.component,
             .modules = std::move(modules),
             .model = model_};
  const auto known = components_.find(out.component);
  if (known == components_.end() || known->second.base == nullptr ||
      out.modules.paths.size() != 1) {
    return out;
  }
  const auto found = known->second.base->modules.find(out.modules.paths.front());
  if (found != known->second.base->modules.end()) out.shape = &found->second;
  return out;
}

Result<Placed> ModuleFinder::find(std::string_view module) const {
  const auto name = split(module);
  if (name.components.empty()) {
    return base::unsupported(
        "EX-4", "it is not known which model " + quote(module) + " is of: name it with --base");
  }
  bool any_known = false;
  for (const auto& component : name.components) {
    const auto known = components_.find(component);
    if (known == components_.end() || known->second.paths.empty()) continue;
    any_known = true;
    FERRULE_TRY(auto found, place_in(component, known->second, name, module));
    if (found) return std::move(*found);
  }
  if (any_known) {
    return base::unsupported("EX-9", "the base does not have a module that " + quote(module) +
                                         " can mean; is the adapter of another model?");
  }
  return place_by_words(name, module);
}

Result<std::optional<Placed>> ModuleFinder::place_in(const std::string& component,
                                                     const Known& known, const Split& split,
                                                     std::string_view module) const {
  std::string rest = split.is_flat ? std::string(split.rest) : modern_path(split.rest, component);
  bool flat = split.is_flat;
  if (split.is_image && sgm_layers_ && is_sgm(flatten(rest))) {
    rest = from_sgm(flatten(rest), *sgm_layers_).value_or(rest);
    flat = true;
  }
  bool ambiguous = false;
  auto path = known_path(known, rest, flat, ambiguous);
  if (ambiguous) {
    return base::unsupported("EX-9", quote(module) + " can mean " +
                                         quote(known.flat.find(rest)->second[0]) + " and " +
                                         quote(known.flat.find(rest)->second[1]) + " of the base");
  }
  if (path) return std::optional(placed(component, one_module(std::move(*path))));
  if (!split.is_image) return std::optional<Placed>();
  auto modules = known_modules(known, rest, flat);
  if (!modules) return std::optional<Placed>();
  return std::optional(placed(component, std::move(*modules)));
}

Result<Placed> ModuleFinder::place_by_words(const Split& split, std::string_view module) const {
  const auto& component = split.components.front();
  std::string rest(split.rest);
  bool flat = split.is_flat;
  if (!flat) rest = modern_path(rest, component);
  if (split.is_image && model_ != nullptr) {
    auto found = modules_called(rest, *model_, flat);
    if (!found.empty()) return placed(component, std::move(found.front()));
  }
  if (split.is_image && is_sgm(flatten(rest))) {
    if (!sgm_layers_) {
      return base::unsupported("EX-4", "the blocks of " + quote(module) +
                                           " are numbered by the U-Net's layers: name it with "
                                           "--base, or with --arch sd1, sd2 or sdxl");
    }
    if (auto found = from_sgm(flatten(rest), *sgm_layers_)) {
      rest = std::move(*found);
      flat = true;
    }
  }
  if (flat) return unflattened(component, rest, module);
  const bool own_names = split.is_original && component_of_path(rest).empty();
  if (!own_names && split.components.size() == 1) {
    return placed(component, one_module(std::move(rest)));
  }
  return base::unsupported("EX-4", quote(module) +
                                       " is in the names of the model's own code: say with --base "
                                       "(or --arch) which model of diffusers it is");
}

Result<Placed> ModuleFinder::unflattened(const std::string& component, std::string_view rest,
                                         std::string_view module) const {
  const auto known = components_.find(component);
  std::string_view family;
  if (known != components_.end()) family = known->second.family;
  if (family.empty() && model_ != nullptr && is_image_component(component)) {
    return base::unsupported("EX-9", quote(module) + " is not a name of such a model (" +
                                         std::string(model_->name) +
                                         "); a base with weights says more");
  }
  if (family.empty()) {
    return base::unsupported("EX-4", quote(module) +
                                         " is a path whose dots became underscores, and only the "
                                         "model can say where: name it with --base (or with "
                                         "--arch: " +
                                         known_archs() + ")");
  }
  auto path = unflatten(rest, words_of(family));
  if (!path) {
    return base::unsupported("EX-9", quote(module) + " is not a name of such a model (" +
                                         std::string(family) + "); a base with weights says more");
  }
  return placed(component, one_module(std::move(*path)));
}

}  // namespace ferrule::exchange
