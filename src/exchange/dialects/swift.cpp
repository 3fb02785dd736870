// SPDX-License-Identifier: Apache-2.0
// ms-swift's own backend (SwiftModel): a folder for each adapter ("default") with PEFT's LoRA
// config, some fields more and `swift_type`, and the live keys of a model that PEFT did not wrap.
// Trained with --tuner_backend peft, ms-swift writes PEFT. Only read. Measured with ms-swift 4.6.0.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/live_state.hpp"
#include "exchange/made_tensors.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSwiftType = "swift_type";
constexpr const char* kExtraStates = "extra_states/";

/// What its config has beside PEFT's fields.
constexpr std::array kOwnFields = {kSwiftType,     "use_qa_lora",       "use_merged_linear",
                                   "enable_lora",  "lora_dtype",        "lorap_lr_ratio",
                                   "lorap_emb_lr", "model_key_mapping", "lr_ratio"};

bool is_swift(const Json& config) { return config.find(kSwiftType) != nullptr; }

/// Folders of adapters below a folder of ms-swift.
std::vector<std::string> adapters_below(const Look& look) {
  std::vector<std::string> out;
  for (const auto& name : look.names) {
    if (!name.ends_with('/') || name.starts_with('.')) continue;
    const auto config = read_json(look.path / name / kConfigFile);
    if (config && is_swift(*config)) out.push_back(name.substr(0, name.size() - 1));
  }
  return out;
}

/// PEFT's config out of ms-swift's.
Result<AdapterConfig> peft_part(Json document) {
  const auto* type = document.find(kSwiftType);
  if (*type != Json("LORA")) {
    const auto* text = type->if_string();
    return base::unsupported("EX-3", "this is a tuner of ms-swift's own (" +
                                         (text == nullptr ? type->dump() : *text) +
                                         "), which PEFT does not have");
  }
  for (const auto* field : {"use_qa_lora", "use_merged_linear"}) {
    const auto* value = document.find(field);
    if (value == nullptr || value->is_null() || *value == Json(false)) continue;
    return base::unsupported("EX-3", "the config's " + std::string(field) +
                                         " changes what the factors mean; such adapters are not "
                                         "converted");
  }
  Json::Object fields;
  for (const auto& [name, value] : *document.if_object()) {
    const bool own = std::find(kOwnFields.begin(), kOwnFields.end(), name) != kOwnFields.end();
    if (!own) fields.emplace_back(name, value);
  }
  Json config(std::move(fields));
  if (config.find("peft_type") == nullptr) config.set("peft_type", "LORA");
  return AdapterConfig::parse(config.dump());
}

/// Whole modules have lost their wrapper's name: "lm_head.weight".
std::string live_key(std::string_view key, const std::string& name) {
  if (key.find("lora_") != std::string_view::npos) return std::string(key);
  const auto dot = key.rfind('.');
  if (dot == std::string_view::npos) return std::string(key);
  return std::string(key.substr(0, dot)) + ".modules_to_save." + name +
         std::string(key.substr(dot));
}

class Swift final : public Dialect {
 public:
  std::string_view name() const override { return "swift"; }
  std::string_view what() const override { return "ms-swift's own backend"; }
  bool writes() const override { return false; }
  const Carries& carries() const override {
    static const Carries kCarries;
    return kCarries;
  }

  bool detect(const Look& look) const override {
    if (!look.is_folder) return false;
    if (look.config.is_null()) return !adapters_below(look).empty();
    return is_swift(look.config) && !look.has_peft_keys;
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    if (look.has(kExtraStates)) {
      return base::unsupported("EX-3",
                               "extra_states holds tensors of the model beside the adapter");
    }
    auto folder = look.path;
    if (look.config.is_null()) {
      const auto below = adapters_below(look);
      if (below.size() != 1) {
        return base::unsupported("EX-3", std::to_string(below.size()) +
                                             " adapters are in this folder, and one is converted "
                                             "at a time: give its own folder");
      }
      folder /= below.front();
    }
    FERRULE_TRY(auto document, read_json(folder / kConfigFile));
    if (document.if_object() == nullptr || !is_swift(document)) {
      return base::corrupt("EX-1", "its adapter_config.json is not ms-swift's");
    }
    FERRULE_TRY(auto config, peft_part(std::move(document)));
    FERRULE_TRY(const auto inside, look_at(folder, request.open));
    const bool safe = inside.has(kSafetensorsFile);
    if (!safe && !inside.has(kBinFile)) {
      return base::corrupt("AD-15",
                           "there is neither adapter_model.safetensors nor "
                           "adapter_model.bin in " +
                               folder.string());
    }
    FERRULE_TRY(const auto opened, inside.open(safe ? kSafetensorsFile : kBinFile, request.open));
    FERRULE_TRY(const auto name, only_adapter(*opened.tensors, "the file"));
    const auto state = std::make_shared<MadeTensors>(opened.tensors);
    for (const auto& [key, tensor] : opened.tensors->tensors()) {
      if (tensor.shape().size() > Values::kMaxDims) {
        return base::unsupported("EX-8", "tensor " + quote(key) + " has " +
                                             std::to_string(tensor.shape().size()) + " dimensions");
      }
      FERRULE_CHECK(state->add(Values::of(tensor).stream(live_key(key, name))));
    }
    Middle out;
    FERRULE_CHECK(read_live_state(*state, name, std::move(config), folder, request, out));
    out.owners.push_back(state);
    return out;
  }

  Result<Plan> write(const Middle& /*middle*/, const Request& /*request*/,
                     Ledger& /*ledger*/) const override {
    return base::invalid(std::string(what()) + " is only read, not written");
  }
};

}  // namespace

const Dialect& swift_dialect() {
  static const Swift kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
