// SPDX-License-Identifier: Apache-2.0
// Checkpoints of Lightning (.ckpt): a torch file with the whole training state, the module's state
// dict under "state_dict": PEFT's live keys, the base's weights between them, and the attributes of
// the LightningModule in front. No tensor says the strength: the adapter's config does. Only read.
// Measured with lightning 2.6.6.
#include <array>
#include <set>
#include <utility>

#include "adapter/save_plan.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/made_tensors.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kStateKey = "state_dict";

/// What comes after a method's attribute in a live key: the adapter's name.
std::optional<std::string_view> adapter_name_in(std::string_view key) {
  constexpr std::array<std::string_view, 6> kAttributes = {".lora_", ".hada_", ".lokr_",
                                                           ".ia3_",  ".vera_", ".oft_"};
  for (const auto attribute : kAttributes) {
    const auto at = key.find(attribute);
    if (at == std::string_view::npos) continue;
    const auto dot = key.find('.', at + 1);
    if (dot == std::string_view::npos) continue;
    const auto name = key.substr(dot + 1);
    return name.substr(0, name.find('.'));
  }
  return std::nullopt;
}

Result<std::string> only_adapter(const TensorSource& state) {
  std::set<std::string_view> names;
  for (const auto& [key, tensor] : state.tensors()) {
    if (const auto name = adapter_name_in(key)) names.insert(*name);
  }
  if (names.size() == 1) return std::string(*names.begin());
  if (names.empty()) {
    return base::corrupt("EX-1", "no tensor of the checkpoint is one of an adapter of PEFT");
  }
  return base::unsupported("EX-3", "the checkpoint holds several adapters (" +
                                       quote(*names.begin()) + ", " + quote(*names.rbegin()) +
                                       "), and one is converted at a time");
}

/// --config, or the adapter_config.json beside the checkpoint.
Result<AdapterConfig> config_for(const Request& request, const Look& look) {
  const auto path = request.config.value_or(look.path.parent_path() / kConfigFile);
  FERRULE_TRY(auto document, read_json(path));
  if (document.if_object() == nullptr) {
    return base::unsupported("EX-6",
                             "a checkpoint of Lightning does not say the strength: give --config "
                             "with the adapter_config.json of the run (r, lora_alpha)");
  }
  if (document.find("peft_type") == nullptr) document.set("peft_type", "LORA");
  if (document.find("lora_alpha") == nullptr && *document.find("peft_type") == Json("LORA")) {
    return base::unsupported("EX-6", path.string() + " does not say the strength (lora_alpha)");
  }
  return AdapterConfig::parse(document.dump());
}

class Lightning final : public Dialect {
 public:
  std::string_view name() const override { return "lightning"; }
  std::string_view what() const override { return "a checkpoint of Lightning"; }
  bool is_file() const override { return true; }
  bool writes() const override { return false; }
  const Carries& carries() const override {
    static const Carries kCarries;
    return kCarries;
  }

  bool detect(const Look& look) const override { return look.is_lightning; }

  Result<Middle> read(const Look& look, const Request& request) const override {
    if (look.is_folder) {
      return base::unsupported("EX-1", std::string(what()) + " is one file");
    }
    auto open = request.open;
    if (open.torch_key.empty()) open.torch_key = kStateKey;
    FERRULE_TRY(const auto opened, open_tensors(look.path, open));
    FERRULE_TRY(const auto name, only_adapter(*opened.tensors));
    FERRULE_TRY(auto config, config_for(request, look));
    SaveOptions options;
    if (const auto* model = request.base.model()) options.base_config = model->config;
    const std::array configs = {NamedConfig{.name = name, .config = std::move(config)}};
    FERRULE_TRY(auto plan, adapter::plan_save(*opened.tensors, configs, options));
    auto& saved = plan.adapters.front();
    auto tensors = std::make_unique<MadeTensors>();
    for (const auto& stream : saved.tensors) FERRULE_CHECK(tensors->add(stream));
    FERRULE_TRY(auto adapter, Adapter::make(std::move(saved.config), std::move(tensors),
                                            {.directory = look.path}));
    Middle out;
    FERRULE_CHECK(read_peft(std::move(adapter), {}, request, out));
    out.facts.peft_configs.erase("");
    for (const auto& left : plan.left_out) out.ignored.push_back(left.key);
    out.owners.push_back(opened.tensors);
    return out;
  }

  Result<Plan> write(const Middle& /*middle*/, const Request& /*request*/,
                     Ledger& /*ledger*/) const override {
    return base::invalid(std::string(what()) + " is only read, not written");
  }
};

}  // namespace

const Dialect& lightning_dialect() {
  static const Lightning kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
