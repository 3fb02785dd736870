// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/module_finder.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/image/component_names.hpp"
#include "exchange/dialects/image/flat_name.hpp"
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
    {"unet.", "unet"},
    {"transformer.", "transformer"},
    {"transformer_2.", "transformer_2"},
    {"text_encoders.clip_l.transformer.", "text_encoder"},
    {"text_encoders.clip_g.transformer.", "text_encoder_2"},
    {"text_encoders.t5xxl.transformer.", "t5"},
    {"text_encoder.", "text_encoder"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder_3.", "text_encoder_3"},
    {"prior.", "prior"},
};

constexpr std::string_view kTextModel = "text_model";

bool is_original_flux(std::string_view flat) {
  return flat.starts_with("double_blocks_") || flat.starts_with("single_blocks_");
}

bool is_z_image_block(std::string_view flat) {
  return flat.starts_with("layers_") || flat.starts_with("noise_refiner_") ||
         flat.starts_with("context_refiner_");
}

FusedModule single(std::string path) { return {{std::move(path)}, {1}, false}; }

std::uint64_t extent(const TensorView* tensor, std::size_t axis) {
  return tensor == nullptr || tensor->shape().size() <= axis ? 0 : tensor->shape()[axis];
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
  if (!request.arch.empty()) FERRULE_CHECK(out.learn_arch(request.arch, true));
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
    if (image == "unet" || image == "transformer") image_ = image;
    if (class_name.starts_with("Flux2")) original_ = Original::kFlux2;
    if (class_name.starts_with("Flux")) t5_is_second_ = true;
    if (class_name == "FluxTransformer2DModel") original_ = Original::kFlux;
    if (class_name.starts_with("ZImage")) original_ = Original::kZImage;
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
  if (component == "unet" || component == "transformer") image_ = component;
}

Result<void> ModuleFinder::learn_arch(std::string_view arch, bool from_user) {
  struct Arch {
    std::string_view names;  ///< Separated by spaces.
    std::string_view image;
    std::string_view family;
    std::optional<Original> original = {};
    bool t5_is_second = false;
  };
  constexpr Arch kArchs[] = {
      {"sd sd1 sd15 sd1.5 sd1x sd2 sd2.1 sd21 sdxl", "unet", "unet"},
      {"flux flux1 flux.1", "transformer", "flux", Original::kFlux, true},
      {"flux2 flux.2", "transformer", "flux", Original::kFlux2, true},
      {"sd3", "transformer", "flux"},
      {"z-image zimage z_image", "transformer", "z-image", Original::kZImage},
  };
  for (const auto& known : kArchs) {
    if ((" " + std::string(known.names) + " ").find(" " + std::string(arch) + " ") ==
        std::string::npos) {
      continue;
    }
    image_ = known.image;
    components_[std::string(known.image)].family = known.family;
    components_["text_encoder"].family = "clip";
    components_["text_encoder_2"].family = known.t5_is_second ? "t5" : "clip";
    components_["text_encoder_3"].family = "t5";
    if (known.original) original_ = known.original;
    t5_is_second_ = known.t5_is_second;
    if (known.image == "unet" && !sgm_layers_) sgm_layers_ = 2;
    return {};
  }
  if (!from_user) return {};
  return base::invalid("--arch " + std::string(arch) +
                       " is not an image model that Ferrule knows: sd1, sd2, sdxl, sd3, flux, "
                       "flux2, z-image");
}

void ModuleFinder::learn_metadata(const Metadata& metadata) {
  if (!components_.empty()) return;
  for (const auto& [key, value] : metadata) {
    if (key != "ss_base_model_version" && key != "modelspec.architecture") continue;
    std::string_view arch;
    if (value.starts_with("sdxl_") || value.starts_with("stable-diffusion-xl")) arch = "sdxl";
    if (value.starts_with("sd_v") || value.starts_with("stable-diffusion-v")) arch = "sd1";
    if (value == "flux1" || value.starts_with("flux-1")) arch = "flux";
    if (value.starts_with("sd3")) arch = "sd3";
    if (!arch.empty()) (void)learn_arch(arch, false);
  }
}

void ModuleFinder::recognize_flux2(const RawModule& module) {
  const auto flat = flatten(module.name);
  const bool marked = flat.find("single_stream_modulation") != std::string::npos ||
                      flat.find("double_stream_modulation") != std::string::npos;
  const auto in = extent(module.find("down"), 1);
  const auto out = extent(module.find("up"), 0);
  const bool first = flat.ends_with("_linear1") && in != 0 && out == 9 * in;
  const bool second = flat.ends_with("_linear2") && out != 0 && in == 4 * out;
  // Only Flux 2's LoKr is known to be of these names.
  const bool lokr = !module.leaves.empty() && module.leaves.rbegin()->first.starts_with("lokr_");
  if (marked || first || second || lokr) original_ = Original::kFlux2;
}

void ModuleFinder::learn_names(std::span<const RawModule> modules) {
  if (original_) return;
  bool flux = false, z_image = false, lumina = false;
  for (const auto& module : modules) {
    const auto rest = flatten(split(module.name).rest);
    if (is_original_flux(rest)) flux = true;
    if (!is_z_image_block(rest)) continue;
    if (rest.find("_attention_to_") != std::string::npos) z_image = true;
    if (!rest.ends_with("_attention_qkv")) continue;
    const auto in = extent(module.find("down"), 1);
    (extent(module.find("up"), 0) == 3 * in && in != 0 ? z_image : lumina) = true;
  }
  if (flux) {
    (void)learn_arch("flux", false);
    for (const auto& module : modules) recognize_flux2(module);
  } else if (z_image && !lumina) {
    (void)learn_arch("z-image", false);
  }
}

std::vector<std::string> ModuleFinder::image_components() const {
  if (!image_.empty()) return {image_};
  return {"unet", "transformer"};
}

ModuleFinder::Split ModuleFinder::split(std::string_view module) const {
  Split out;
  out.rest = module;
  for (const auto& prefix : kPrefixes) {
    if (!module.starts_with(prefix.text)) continue;
    out.rest.remove_prefix(prefix.text.size());
    out.is_flat = prefix.is_flat;
    if (prefix.component == "*") {
      out.components = image_components();
      out.is_original = !prefix.is_flat;
    } else if (prefix.component == "t5") {
      out.components = {t5_is_second_ ? "text_encoder_2" : "text_encoder_3"};
    } else if (prefix.component != "?") {
      out.components = {std::string(prefix.component)};
    }
    break;
  }
  // Only the model itself is known: there is nothing else that a name can mean.
  if (only_plain_ || (plain_ && components_.size() == 1)) out.components = {""};
  if (out.components.empty()) {
    const auto by_name = component_of_path(out.rest);
    if (plain_) {
      out.components = {""};
    } else if (!by_name.empty()) {
      out.components = {std::string(by_name)};
    } else {
      for (const auto& [name, known] : components_) out.components.push_back(name);
      if (out.is_flat && components_.empty()) out.components = image_components();
    }
  }
  for (const auto& component : out.components) {
    out.is_image = out.is_image || component.empty() || component == "unet" ||
                   component.starts_with("transformer");
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

std::optional<FusedModule> ModuleFinder::of_original(std::string_view rest, bool flat) const {
  if (!original_) return std::nullopt;
  std::string dotted(rest);
  if (flat) {
    const auto words = words_of(*original_ == Original::kZImage ? "z-image" : "bfl");
    auto found = unflatten(rest, words);
    if (!found) return std::nullopt;
    dotted = std::move(*found);
  }
  return from_original(dotted, *original_);
}

Placed ModuleFinder::placed(const std::string& component, FusedModule modules,
                            bool original) const {
  Placed out{.component = component, .modules = std::move(modules), .original = original};
  const auto known = components_.find(component);
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
  return place(name, module);
}

Result<Placed> ModuleFinder::place(const Split& split, std::string_view module) const {
  bool any_known = false;
  for (const auto& component : split.components) {
    const auto found = components_.find(component);
    if (found == components_.end() || found->second.paths.empty()) continue;
    any_known = true;
    const auto& known = found->second;
    std::string rest = split.is_flat ? std::string(split.rest) : modern_path(split.rest, component);
    bool flat = split.is_flat;
    if (split.is_image && sgm_layers_ && is_sgm(flatten(rest))) {
      rest = from_sgm(flatten(rest), *sgm_layers_).value_or(rest);
      flat = true;
    }
    bool ambiguous = false;
    auto path = known_path(known, rest, flat, ambiguous);
    if (ambiguous) {
      return base::unsupported(
          "EX-9", quote(module) + " can mean " + quote(known.flat.find(rest)->second[0]) + " and " +
                      quote(known.flat.find(rest)->second[1]) + " of the base");
    }
    if (path) return placed(component, single(std::move(*path)));
    if (!split.is_image) continue;
    auto original = of_original(rest, flat);
    if (!original) continue;
    const bool there = known.base == nullptr ||
                       std::all_of(original->paths.begin(), original->paths.end(),
                                   [&](const auto& p) { return known.paths.contains(p); });
    if (there) return placed(component, std::move(*original), true);
  }
  if (any_known) {
    return base::unsupported("EX-9", "the base does not have a module that " + quote(module) +
                                         " can mean; is the adapter of another model?");
  }
  return place_by_words(split, module);
}

Result<Placed> ModuleFinder::place_by_words(const Split& split, std::string_view module) const {
  const auto& component = split.components.front();
  std::string rest(split.rest);
  bool flat = split.is_flat;
  if (!flat) rest = modern_path(rest, component);
  if (split.is_image) {
    if (auto original = of_original(rest, flat))
      return placed(component, std::move(*original), true);
    if (is_sgm(flatten(rest))) {
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
  }
  if (!flat) {
    const bool own_names =
        split.is_original && original_ != Original::kZImage && component_of_path(rest).empty();
    if (!own_names) return placed(component, single(std::move(rest)));
    return base::unsupported("EX-4",
                             quote(module) +
                                 " is in the names of the model's own code: say with --base "
                                 "which model of diffusers it is");
  }
  const auto known = components_.find(component);
  std::string_view family;
  if (known != components_.end()) family = known->second.family;
  // Blocks of transformers in diffusers' own words, which diffusers reads back as well.
  const bool lycoris = module.starts_with("lycoris_transformer_blocks_") ||
                       module.starts_with("lycoris_single_transformer_blocks_") ||
                       module.starts_with("lora_transformer_");
  if (family.empty() && lycoris) family = "flux";
  if (family.empty()) {
    return base::unsupported("EX-4", quote(module) +
                                         " is a path whose dots became underscores, and only the "
                                         "model can say where: name it with --base (or with --arch "
                                         "sd1, sd2, sdxl, sd3, flux, flux2, z-image)");
  }
  auto path = unflatten(rest, words_of(family));
  if (!path) {
    return base::unsupported("EX-9", quote(module) + " is not a name of such a model (" +
                                         std::string(family) + "); a base with weights says more");
  }
  return placed(component, single(std::move(*path)));
}

}  // namespace ferrule::exchange
