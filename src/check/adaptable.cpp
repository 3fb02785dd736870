// SPDX-License-Identifier: Apache-2.0
#include "check/adaptable.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "check/adapter_match.hpp"
#include "check/module_path.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

struct Takes {
  std::string_view peft_type;
  std::string_view kinds;
};

// Measured with PEFT 0.21 by tests/check/sweep.py. Types that are not here adapt whatever
// they are pointed at, or choose their layers themselves.
constexpr Takes kTakes[] = {
    {"ADALORA", "LC2"},   {"ADAMSS", "L"},     {"BEFT", "L"},
    {"BOFT", "L2"},       {"C3A", "L"},        {"DEFT", "LC"},
    {"DELORA", "L"},      {"FOURIERFT", "LC"}, {"FROD", "LC"},
    {"GLORA", "L"},       {"GRALORA", "LC"},   {"HIRA", "LC123E"},
    {"HRA", "L2"},        {"IA3", "LC23"},     {"LILY", "L"},
    {"LOHA", "L12"},      {"LOKR", "L12"},     {"LORA", "LC123EM"},
    {"MISS", "L"},        {"OFT", "L2E"},      {"PEANUT", "L"},
    {"POLY", "L"},        {"PSOFT", "L"},      {"PVERA", "LC"},
    {"RANDLORA", "LC"},   {"ROAD", "L"},       {"SHIRA", "L"},
    {"SUPERTUNING", "L"}, {"TINYLORA", "LCE"}, {"TRAINABLE_TOKENS", "LE"},
    {"UNILORA", "LC"},    {"VBLORA", "LC"},    {"VERA", "LC"},
    {"WAVEFT", "LC"},
};

const Takes* find_takes(std::string_view peft_type) noexcept {
  for (const auto& row : kTakes) {
    if (row.peft_type == peft_type) return &row;
  }
  return nullptr;
}

std::string describe(model::ModuleKind kind) {
  std::string name(kind.class_name);
  switch (kind.letter) {
    case 'L':
      return "a Linear layer";
    case 'C':
      return "a Conv1D of transformers";
    case '1':
    case '2':
    case '3':
      return std::string("a Conv") + kind.letter + "d";
    case 'E':
      return "an embedding";
    case 'M':
      return "a MultiheadAttention";
    case 'N':
    case 'n':
      return "a norm (" + name + ")";
    case 'R':
    case 'r':
      return "a router (" + name + ")";
    case 'W':
    case 'w':
      return "a wrapper (" + name + ") around the layer";
    case 'F':
    case 'T':
      return "a block of fused experts, which target_parameters reaches";
    default:
      return name.empty() ? "a module that holds others" : "a " + name;
  }
}

/// Mamba's kernels read these weights themselves.
bool is_refused_in_mamba(const AdapterConfig& config, const model::BaseIndex& base,
                         std::string_view path) {
  const auto& type = config.peft_type();
  if (type != "LORA" && type != "ADALORA" && type != "XLORA" && type != "RANDLORA") return false;
  const auto* model = base.config.find("model_type");
  const auto* text = model == nullptr ? nullptr : model->if_string();
  const auto name = last_part(path);
  return text != nullptr && (name == "out_proj" || name == "conv1d") &&
         (*text == "falcon_h1" || *text == "mamba" || *text == "mamba2" ||
          *text == "falcon_mamba" || *text == "nemotron_h");
}

/// What a module of unknown class is for certain: a container, or something with a weight of one
/// dimension, which no method but LN_TUNING takes.
model::ModuleKind guess(const model::BaseIndex& base, const model::LiveModule& module) {
  if (module.kind.known() || base.is_packed(module.path)) return module.kind;
  const auto* weight = base.find(module.path + ".weight");
  if (weight != nullptr) {
    if (weight->shape_known && weight->shape.size() < 2)
      return {'N', "its weight has one dimension"};
    return module.kind;
  }
  if (base.find(module.path + ".in_proj_weight") != nullptr) return module.kind;
  const auto below = base.below(module.path);
  const bool holds = std::all_of(below.begin(), below.end(), [&](const model::BaseTensor& tensor) {
    return tensor.name.find('.', module.path.size() + 1) != std::string::npos;
  });
  return holds && !below.empty() ? model::ModuleKind{'o', {}} : module.kind;
}

struct Refusals {
  std::size_t count = 0;
  std::string first;
};

std::string more(std::size_t count) {
  return count > 1 ? " and " + std::to_string(count - 1) + " more" : std::string();
}

}  // namespace

bool adapts(std::string_view peft_type, char kind) noexcept {
  const auto* row = find_takes(peft_type);
  return row == nullptr || kind == '?' || row->kinds.find(kind) != std::string_view::npos;
}

std::vector<std::string_view> refused_fields(const AdapterConfig& config, bool has_linear) {
  std::vector<std::string_view> out;
  if (config.number("lora_dropout").value_or(0) != 0) out.emplace_back("lora_dropout");
  for (const auto* flag : {"use_dora", "lora_bias"}) {
    if (config.flag(flag)) out.emplace_back(flag);
  }
  // A Linear layer before it sets the field back.
  if (config.flag("fan_in_fan_out") && !has_linear) out.emplace_back("fan_in_fan_out");
  for (const auto* field : {"velora_config", "kasa_config"}) {
    const auto* value = config.find(field);
    if (value != nullptr && !value->is_null()) out.emplace_back(field);
  }
  return out;
}

Result<std::vector<Finding>> judge_targets(const LiveConfig& live, const model::BaseIndex& base,
                                           const peft::TargetRule& targets) {
  std::vector<Finding> out;
  const auto& type = live.config.peft_type();
  std::map<std::string, Refusals> refused;
  bool has_linear = false;
  if (find_takes(type) != nullptr && targets.known()) {
    for (const auto& module : base.all_modules) {
      FERRULE_TRY(const bool hit, targets.selects(module.path));
      if (!hit) continue;
      const auto kind = guess(base, module);
      has_linear |= kind.letter == 'L' || !kind.known();
      const bool mamba = is_refused_in_mamba(live.config, base, module.path);
      if (!mamba && adapts(type, kind.letter)) continue;
      auto& group =
          refused[mamba ? "a layer that Mamba's kernels read themselves" : describe(kind)];
      if (group.count++ == 0) group.first = module.path;
    }
  }
  for (const auto& [what, group] : refused) {
    out.push_back(about(Severity::kError, "BS-24", group.first,
                        "the config targets " + quote(group.first) + more(group.count) +
                            ", and PEFT cannot adapt it: it is " + what + "; loading fails",
                        "target the layers inside it, or leave it out of target_modules"));
  }
  std::string first;
  for (const auto& tensor : base.tensors) {
    if (first.empty() && targets.selects_parameter(tensor.name)) first = tensor.name;
  }
  if (first.empty()) return out;
  std::string fields;
  for (const auto field : refused_fields(live.config, has_linear)) {
    fields += (fields.empty() ? "" : ", ") + std::string(field);
  }
  if (!fields.empty()) {
    out.push_back(about(
        Severity::kError, "BS-25", first,
        "PEFT adapts " + quote(first) + " as a parameter, and raises ValueError with " + fields,
        fields == "lora_dropout"
            ? "ferrule fix sets lora_dropout to 0, which changes nothing after training"
            : "train it without"));
  }
  return out;
}

}  // namespace ferrule::checks
