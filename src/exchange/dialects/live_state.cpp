// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/live_state.hpp"

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "adapter/save_plan.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/made_tensors.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

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

}  // namespace

Result<std::string> only_adapter(const TensorSource& state, std::string_view what) {
  std::set<std::string_view> names;
  for (const auto& [key, tensor] : state.tensors()) {
    if (const auto name = adapter_name_in(key)) names.insert(*name);
  }
  if (names.size() == 1) return std::string(*names.begin());
  if (names.empty()) {
    return base::corrupt("EX-1",
                         "no tensor of " + std::string(what) + " is one of an adapter of PEFT");
  }
  return base::unsupported("EX-3", std::string(what) + " holds several adapters (" +
                                       quote(*names.begin()) + ", " + quote(*names.rbegin()) +
                                       "), and one is converted at a time");
}

Result<void> read_live_state(const TensorSource& state, std::string name, AdapterConfig config,
                             const std::filesystem::path& path, const Request& request,
                             Middle& out) {
  SaveOptions options;
  if (const auto* model = request.base.model()) options.base_config = model->config;
  const std::array configs = {NamedConfig{.name = std::move(name), .config = std::move(config)}};
  FERRULE_TRY(auto plan, adapter::plan_save(state, configs, options));
  auto& saved = plan.adapters.front();
  auto tensors = std::make_unique<MadeTensors>();
  for (const auto& stream : saved.tensors) FERRULE_CHECK(tensors->add(stream));
  FERRULE_TRY(auto adapter,
              Adapter::make(std::move(saved.config), std::move(tensors), {.directory = path}));
  FERRULE_CHECK(read_peft(std::move(adapter), {}, request, out));
  for (const auto& left : plan.left_out) out.ignored.push_back(left.key);
  return {};
}

}  // namespace ferrule::exchange
