// SPDX-License-Identifier: Apache-2.0
#include "peft/initial_conversion.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/disk_key.hpp"

namespace ferrule::peft {
namespace {

bool mutates_base(const AdapterConfig& config) {
  const auto init = config.text("init_lora_weights");
  if (!init) return false;
  return init->starts_with("pissa") || *init == "corda" || *init == "olora" || *init == "lora_ga";
}

/// [trained; initial] along dimension 0.
std::vector<std::byte> stack_rows(const TensorStream& trained, const TensorView& initial) {
  std::vector<std::byte> out(trained.bytes.begin(), trained.bytes.end());
  out.insert(out.end(), initial.bytes().begin(), initial.bytes().end());
  return out;
}

/// [trained, -initial] along dimension 1. Negating flips the sign bit, the top one of the last byte
/// of each little-endian element.
std::vector<std::byte> join_columns(const TensorStream& trained, const TensorView& initial) {
  const auto element = bit_width(trained.dtype) / 8;
  const auto rows = trained.shape[0];
  const auto width = trained.bytes.size() / rows;
  const auto initial_width = initial.bytes().size() / rows;
  std::vector<std::byte> out;
  out.reserve(trained.bytes.size() + initial.bytes().size());
  for (std::uint64_t row = 0; row < rows; ++row) {
    const auto mine = trained.bytes.subspan(row * width, width);
    out.insert(out.end(), mine.begin(), mine.end());
    const auto theirs = initial.bytes().subspan(row * initial_width, initial_width);
    const auto start = out.size();
    out.insert(out.end(), theirs.begin(), theirs.end());
    for (auto at = start + element - 1; at < out.size(); at += element) out[at] ^= std::byte{0x80};
  }
  return out;
}

Result<void> convert_tensor(TensorStream& tensor, bool is_b, const TensorSource& initial) {
  const auto other = initial.find(tensor.name);
  if (!other) {
    return base::corrupt("KY-10", "the initial adapter has no tensor " + quote(tensor.name));
  }
  const auto shape = other->shape();
  bool fits = other->dtype() == tensor.dtype && shape.size() == tensor.shape.size() &&
              shape.size() >= 2 && is_floating_point(tensor.dtype) && bit_width(tensor.dtype) >= 8;
  const std::size_t axis = is_b ? 1 : 0;
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    fits = i == axis || shape[i] == tensor.shape[i];
  }
  if (!fits || tensor.shape[0] == 0) {
    return base::corrupt("KY-10", "tensor " + quote(tensor.name) +
                                      " of the initial adapter does not have the trained one's "
                                      "dtype and shape");
  }
  auto memory = std::make_shared<std::vector<std::byte>>(is_b ? join_columns(tensor, *other)
                                                              : stack_rows(tensor, *other));
  tensor.shape[axis] += shape[axis];
  tensor.bytes = *memory;
  tensor.owner = memory;
  return {};
}

Result<void> double_pattern(AdapterConfig& config, std::string_view field) {
  const auto* pattern = config.find(field);
  if (pattern == nullptr || pattern->if_object() == nullptr) return {};
  Json::Object doubled;
  for (const auto& [key, value] : *pattern->if_object()) {
    if (const auto* integer = value.if_int64()) {
      doubled.emplace_back(key, Json(*integer * 2));
    } else if (const auto number = value.number()) {
      doubled.emplace_back(key, Json(*number * 2));
    } else {
      return base::corrupt("KY-10", std::string(field) + " holds something else than numbers");
    }
  }
  return config.set(field, Json(std::move(doubled)));
}

Result<void> convert_config(AdapterConfig& config) {
  const auto rank = config.integer("r");
  const auto* alpha = config.find("lora_alpha");
  if (!rank || alpha == nullptr || !alpha->number()) {
    return base::corrupt("KY-10", "the config has no r and lora_alpha");
  }
  FERRULE_CHECK(config.set("init_lora_weights", Json(true)));
  FERRULE_CHECK(config.set("r", Json(*rank * 2)));
  if (config.use_rslora()) {
    // alpha / sqrt(r) must stay: twice the rank asks for sqrt(2) times alpha.
    FERRULE_CHECK(config.set("lora_alpha", Json(*alpha->number() * std::sqrt(2.0))));
  } else if (const auto* integer = alpha->if_int64()) {
    FERRULE_CHECK(config.set("lora_alpha", Json(*integer * 2)));
  } else {
    FERRULE_CHECK(config.set("lora_alpha", Json(*alpha->number() * 2)));
  }
  FERRULE_CHECK(double_pattern(config, "rank_pattern"));
  return double_pattern(config, "alpha_pattern");
}

}  // namespace

bool trained_on_changed_base(const AdapterConfig& config) {
  return mutates_base(config) || config.text("init_lora_weights") == "loftq";
}

Result<void> convert_from_initial(Selection& selection, const AdapterConfig& initial_config,
                                  const TensorSource& initial, bool trusted) {
  const auto& config = selection.config;
  if (config.peft_type() != "LORA" || initial_config.peft_type() != "LORA") {
    return base::unsupported("KY-10", "only LORA adapters are converted with an initial one");
  }
  if (!trusted && mutates_base(initial_config)) {
    return base::unsupported(
        "KY-10",
        "init_lora_weights of the initial adapter must be true: it was saved without that, "
        "so loading it would change the base again");
  }
  if (config.use_rslora() && (!config.rank_pattern().empty() || !config.alpha_pattern().empty())) {
    return base::unsupported("KY-10",
                             "rsLoRA with rank_pattern or alpha_pattern cannot be converted");
  }
  const auto* method = find_method("LORA");
  for (auto& tensor : selection.tensors) {
    const auto parsed = parse_disk_key(tensor.name, config, *method);
    if (parsed.kind != KeyKind::kMethod || parsed.leaf == "bias") continue;
    const bool is_a = parsed.attribute == "lora_A" || parsed.attribute == "lora_embedding_A";
    const bool is_b = parsed.attribute == "lora_B" || parsed.attribute == "lora_embedding_B";
    if (is_a || is_b) FERRULE_CHECK(convert_tensor(tensor, is_b, initial));
  }
  return convert_config(selection.config);
}

}  // namespace ferrule::peft
