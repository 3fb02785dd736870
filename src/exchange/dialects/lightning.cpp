// SPDX-License-Identifier: Apache-2.0
// Checkpoints of Lightning (.ckpt): a torch file with the whole training state, the module's state
// dict under "state_dict": PEFT's live keys, the base's weights between them, and the attributes of
// the LightningModule in front. No tensor says the strength: the adapter's config does. Only read.
// Measured with lightning 2.6.6.
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/live_state.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/file_names.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kStateKey = "state_dict";

/// A config, and whether it is PEFT's whole adapter_config.json and not just numbers of a run.
struct RunConfig {
  AdapterConfig config;
  bool whole = false;
};

/// --config, or the adapter_config.json beside the checkpoint.
Result<RunConfig> config_for(const Request& request, const Look& look) {
  const auto path = request.config.value_or(look.path.parent_path() / kConfigFile);
  FERRULE_TRY(auto document, read_json(path));
  if (document.if_object() == nullptr) {
    return base::unsupported("EX-6",
                             "a checkpoint of Lightning does not say the strength: give --config "
                             "with the adapter_config.json of the run (r, lora_alpha)");
  }
  const bool whole = document.find("peft_type") != nullptr;
  if (!whole) document.set("peft_type", "LORA");
  if (document.find("lora_alpha") == nullptr && *document.find("peft_type") == Json("LORA")) {
    return base::unsupported("EX-6", path.string() + " does not say the strength (lora_alpha)");
  }
  FERRULE_TRY(auto config, AdapterConfig::parse(document.dump()));
  return RunConfig{std::move(config), whole};
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
    FERRULE_TRY(auto name, only_adapter(*opened.tensors, "the checkpoint"));
    FERRULE_TRY(auto run, config_for(request, look));
    Middle out;
    FERRULE_CHECK(read_live_state(*opened.tensors, std::move(name), std::move(run.config),
                                  look.path, request, out));
    if (!run.whole) out.facts.peft_configs.erase("");
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
