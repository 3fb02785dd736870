// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/dialect.hpp"
#include "exchange/dialects/image/model_names.hpp"
#include "exchange/dialects/image/raw_modules.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// Where a module of a file is: one or more modules of a model.
struct Placed {
  std::string component;
  FusedModule modules;
  /// The transformer that the file is for; null if it is not known.
  const ImageModel* model = nullptr;
  /// Of a module that the base has and that is not fused; null if the base does not say.
  const std::vector<std::uint64_t>* shape = nullptr;
};

/// Finds the modules that the names in a file mean: names with dots and without, in the words of
/// diffusers, of Stability's U-Net (input_blocks) and of each model's own code (model_tables.hpp).
class ModuleFinder {
 public:
  /// What is known about the model comes from the base, --arch, the file's metadata, or names that
  /// only one model has. Fails with kInvalidArgument (an unknown --arch).
  static Result<ModuleFinder> make(const Request& request, const Metadata& metadata,
                                   std::span<const RawModule> modules);

  /// Fails with kUnsupported: EX-4 (a flattened name and nothing that says what it was), EX-9 (the
  /// base does not have the module, or two that are spelled so).
  Result<Placed> find(std::string_view module) const;

  /// The transformer that the file is for; null if it is of another kind, or not known.
  const ImageModel* model() const noexcept { return model_; }

 private:
  /// A component as far as it is known.
  struct Known {
    std::set<std::string, std::less<>> paths;
    /// By their flattened names; more than one if underscores make them equal.
    std::map<std::string, std::vector<std::string>, std::less<>> flat;
    const BaseComponent* base = nullptr;
    std::string_view family;
  };
  /// A name without its prefix.
  struct Split {
    std::vector<std::string> components;  ///< That it may be of.
    std::string_view rest;
    bool is_flat = false;
    bool is_image = false;     ///< Of the U-Net or transformer.
    bool is_original = false;  ///< Perhaps in the names of a model's own code.
    bool is_other = false;     ///< Of a text encoder or prior, as its prefix says.
  };

  void learn_base(const BaseFacts& base);
  void learn_paths(const std::string& component, const std::set<std::string>& paths);
  void learn_names(std::span<const RawModule> modules);
  Result<void> learn_arch(std::string_view arch);
  void learn_model(const ImageModel& model);
  void learn_unet();
  void learn_metadata(const Metadata& metadata);

  Split split(std::string_view module) const;
  std::vector<std::string> image_components(std::string_view rest) const;
  std::vector<std::string> components_of(const Split& split) const;
  std::optional<std::string> known_path(const Known& known, std::string_view rest, bool flat,
                                        bool& ambiguous) const;
  std::optional<FusedModule> known_modules(const Known& known, std::string_view rest,
                                           bool flat) const;
  Result<std::optional<Placed>> place_in(const std::string& component, const Known& known,
                                         const Split& split, std::string_view module) const;
  Result<Placed> place_by_words(const Split& split, std::string_view module) const;
  Result<Placed> unflattened(const std::string& component, std::string_view rest,
                             std::string_view module) const;
  Placed placed(const std::string& component, FusedModule modules) const;

  std::map<std::string, Known, std::less<>> components_;
  /// "unet" or "transformer" if something says so.
  std::string image_;
  const ImageModel* model_ = nullptr;
  /// The base or --arch says so, not the names or the header.
  bool model_is_given_ = false;
  std::optional<std::uint64_t> sgm_layers_;
  /// T5 is the second text encoder of Flux, the third of SD3.
  bool t5_is_second_ = false;
  /// The base is one model.
  bool plain_ = false;
  /// All modules are those of the model itself.
  bool only_plain_ = false;
};

}  // namespace ferrule::exchange
