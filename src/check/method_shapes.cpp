// SPDX-License-Identifier: Apache-2.0
#include "check/method_shapes.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/checked.hpp"
#include "base/shape_text.hpp"
#include "model/transformers_names.hpp"

namespace ferrule::checks {
namespace {

/// Shapes of one role's tensor: alternatives with '|' between, dimensions with ','. A dimension is
/// `*` (free), a number, I or O (in and out of the layer; entries and width of an embedding), X
/// (the weight's second dimension), M (the smaller of I and O), G (I times any number of groups), P
/// (I times the kernel), S (a multiple of I + O), V or W (I or O by the config's vector_length),
/// with a number before it (2O), `/n` after it, or `+` (itself or one more); K stands for the
/// kernel's dimensions and N for as many ones. After ';' come products: "12=I" is dimension 1
/// times dimension 2.
struct ShapeRow {
  std::string_view peft_type;
  std::string_view role;
  std::string_view leaf;
  LayerKind kind;
  std::string_view shapes;
};

constexpr auto kOnLinear = LayerKind::kLinear;
constexpr auto kOnEmbedding = LayerKind::kEmbedding;
constexpr auto kOnConv = LayerKind::kConv;

// Conv1D takes the rows of Linear: tensors have the same shapes for both. Facts: PEFT 0.21.2.
constexpr ShapeRow kRows[] = {
    {"LORA", "lora_A", "weight", kOnLinear, "*,I"},
    {"LORA", "lora_B", "weight", kOnLinear, "O,*"},
    {"LORA", "lora_B", "bias", kOnLinear, "O"},
    {"LORA", "lora_magnitude_vector", "", kOnLinear, "O"},
    {"LORA", "lora_embedding_A", "", kOnEmbedding, "*,I"},
    {"LORA", "lora_embedding_B", "", kOnEmbedding, "O,*"},
    {"LORA", "lora_magnitude_vector", "", kOnEmbedding, "O"},
    {"LORA", "lora_A", "weight", kOnConv, "*,G,K"},
    {"LORA", "lora_B", "weight", kOnConv, "O,*,N"},
    {"LORA", "lora_B", "bias", kOnConv, "O"},
    {"LORA", "lora_magnitude_vector", "", kOnConv, "1,O,N"},
    {"ADALORA", "lora_A", "", kOnLinear, "*,I"},
    {"ADALORA", "lora_B", "", kOnLinear, "O,*"},
    {"ADALORA", "lora_E", "", kOnLinear, "*,1"},
    {"ADALORA", "lora_A", "", kOnConv, "*,P"},
    {"ADALORA", "lora_B", "", kOnConv, "O,*"},
    {"ADAMSS", "adamss_newB", "", kOnLinear, "*,I+"},
    {"BEFT", "beft_bias", "", kOnLinear, "1,O"},
    {"BOFT", "boft_R", "", kOnLinear, "*,*,*,*;12=I"},
    {"BOFT", "boft_s", "", kOnLinear, "O,1"},
    {"BOFT", "boft_R", "", kOnConv, "*,*,*,*;12=P"},
    {"BOFT", "boft_s", "", kOnConv, "1,O"},
    {"C3A", "c3a_kernel", "", kOnLinear, "*,*,*;02=O;12=I"},
    {"DEFT", "deft_P", "", kOnLinear, "O,*"},
    {"DEFT", "deft_R", "", kOnLinear, "*,I"},
    {"DELORA", "delora_A", "", kOnLinear, "*,I"},
    {"DELORA", "delora_B", "", kOnLinear, "O,*"},
    {"DELORA", "delora_lambda", "", kOnLinear, "1"},
    {"DELORA", "delora_w_norm", "", kOnLinear, "I"},
    {"FROD", "frod_lambda_l", "", kOnLinear, "I"},
    {"GLORA", "glora_A", "Xd", kOnLinear, "O,*"},
    {"GLORA", "glora_A", "Xu", kOnLinear, "*,I"},
    {"GLORA", "glora_A", "X", kOnLinear, "O,1|1"},
    {"GLORA", "glora_A", "zeros", kOnLinear, "O,I"},
    {"GLORA", "glora_B", "Xd", kOnLinear, "O,*"},
    {"GLORA", "glora_B", "Xu", kOnLinear, "*,I"},
    {"GLORA", "glora_B", "X", kOnLinear, "O,1|1"},
    {"GLORA", "glora_B", "zeros", kOnLinear, "O,I"},
    {"GLORA", "glora_C", "Xd", kOnLinear, "I,*"},
    {"GLORA", "glora_C", "Xu", kOnLinear, "*,1"},
    {"GLORA", "glora_C", "X", kOnLinear, "I,1|1"},
    {"GLORA", "glora_C", "zeros", kOnLinear, "I,1"},
    {"GLORA", "glora_D", "X", kOnLinear, "O|1"},
    {"GLORA", "glora_D", "zeros", kOnLinear, "O"},
    {"GLORA", "glora_E", "X", kOnLinear, "O|1"},
    {"GLORA", "glora_E", "zeros", kOnLinear, "O"},
    {"GRALORA", "gralora_A", "", kOnLinear, "*,*,*;01=I"},
    {"GRALORA", "gralora_B", "", kOnLinear, "*,*,*;02=O"},
    {"GRALORA", "gralora_A_general", "weight", kOnLinear, "*,I"},
    {"GRALORA", "gralora_B_general", "weight", kOnLinear, "O,*"},
    {"HIRA", "hira_A", "", kOnLinear, "*,I"},
    {"HIRA", "hira_B", "", kOnLinear, "O,*"},
    {"HIRA", "hira_A", "", kOnConv, "*,I,K"},
    {"HIRA", "hira_B", "", kOnConv, "O,*,N"},
    {"HIRA", "hira_embedding_A", "", kOnEmbedding, "*,I"},
    {"HIRA", "hira_embedding_B", "", kOnEmbedding, "O,*"},
    {"HRA", "hra_u", "", kOnLinear, "I,*"},
    {"IA3", "ia3_l", "", kOnLinear, "O,1|1,I"},
    {"IA3", "ia3_l", "", kOnConv, "1,O,N|1,G,N"},
    {"LILY", "lily_A", "weight", kOnLinear, "*,I"},
    {"LILY", "lily_B", "weight", kOnLinear, "*,O"},
    {"LOHA", "hada_w1_a", "", kOnLinear, "O,*"},
    {"LOHA", "hada_w2_a", "", kOnLinear, "O,*"},
    {"LOHA", "hada_w1_b", "", kOnLinear, "*,I"},
    {"LOHA", "hada_w2_b", "", kOnLinear, "*,I"},
    {"LOHA", "hada_w1_a", "", kOnConv, "O,*|*,O"},
    {"LOHA", "hada_w2_a", "", kOnConv, "O,*|*,O"},
    {"LOHA", "hada_w1_b", "", kOnConv, "*,P|*,I"},
    {"LOHA", "hada_w2_b", "", kOnConv, "*,P|*,I"},
    {"MISS", "miss_block", "", kOnLinear, "*,O|*,*,*;01=O|*,*"},
    {"OSF", "osf_svd_params", "U_low", kOnLinear, "O,*"},
    {"OSF", "osf_svd_params", "V_low", kOnLinear, "*,I"},
    {"PEANUT", "peanut_A", "weight", kOnLinear, "*,O"},
    {"PEANUT", "peanut_B", "weight", kOnLinear, "O,*"},
    {"POLY", "poly_lora_A", "", kOnLinear, "*,*,*,*;02=I"},
    {"POLY", "poly_lora_B", "", kOnLinear, "*,*,*,*;03=O"},
    {"PVERA", "pvera_lambda_b", "", kOnLinear, "O"},
    {"RANDLORA", "randlora_gamma", "", kOnLinear, "*,M"},
    {"ROAD", "road_theta", "", kOnLinear, "O|2O|O/2"},
    {"ROAD", "road_alpha", "", kOnLinear, "O|2O|O/2"},
    {"SHIRA", "shira_weight", "", kOnLinear, "S"},
    {"SHIRA", "shira_indices", "", kOnLinear, "2,S"},
    {"SUPERTUNING", "supertuning_lora_A", "weight", kOnLinear, "*,I"},
    {"SUPERTUNING", "supertuning_lora_B", "weight", kOnLinear, "O,*"},
    {"TINYLORA", "tinylora_A", "", kOnLinear, "*,I"},
    {"TINYLORA", "tinylora_B", "", kOnLinear, "O,*"},
    {"TINYLORA", "tinylora_A", "", kOnEmbedding, "*,O"},
    {"TINYLORA", "tinylora_B", "", kOnEmbedding, "I,*"},
    {"TRAINABLE_TOKENS", "trainable_tokens_delta", "", kOnEmbedding, "*,X"},
    {"TRAINABLE_TOKENS", "trainable_tokens_delta", "", kOnLinear, "*,X"},
    {"UNILORA", "unilora_indices_A", "", kOnLinear, "*,I"},
    {"UNILORA", "unilora_indices_B", "", kOnLinear, "O,*"},
    {"UNILORA", "unilora_scales_A", "", kOnLinear, "*,I"},
    {"UNILORA", "unilora_scales_B", "", kOnLinear, "O,*"},
    {"VBLORA", "vblora_logits_A", "", kOnLinear, "*,V,*"},
    {"VBLORA", "vblora_logits_B", "", kOnLinear, "W,*,*"},
    {"VBLORA", "vblora_logits_A_topk_indices", "", kOnLinear, "*,V,*"},
    {"VBLORA", "vblora_logits_B_topk_indices", "", kOnLinear, "W,*,*"},
    {"VERA", "vera_lambda_b", "", kOnLinear, "O"},
};

const ShapeRow* find_row(std::string_view peft_type, const AdapterTensor& tensor, LayerKind kind) {
  if (kind == LayerKind::kConv1D) kind = kOnLinear;
  for (const auto& row : kRows) {
    if (row.peft_type == peft_type && row.role == tensor.role && row.leaf == tensor.leaf &&
        row.kind == kind) {
      return &row;
    }
  }
  return nullptr;
}

std::uint64_t kernel_of(const BaseLayer& layer) {
  std::uint64_t product = 1;
  for (std::size_t i = 2; i < layer.weight.size(); ++i) {
    product = base::checked_mul(product, layer.weight[i]).value_or(0);
  }
  return product;
}

std::uint64_t vector_length(const AdapterConfig& config) {
  const auto length = config.integer("vector_length");
  return length && *length > 0 ? static_cast<std::uint64_t>(*length) : 1;
}

/// The number that a letter stands for.
std::uint64_t quantity(char letter, const BaseLayer& layer, const AdapterConfig& config) {
  switch (letter) {
    case 'I':
    case 'G':
      return layer.in();
    case 'O':
      return layer.out();
    case 'X':
      return layer.weight.size() > 1 ? layer.weight[1] : 0;
    case 'M':
      return std::min(layer.in(), layer.out());
    case 'P':
      return base::checked_mul(layer.in(), kernel_of(layer)).value_or(0);
    case 'S':
      return base::checked_add(layer.in(), layer.out()).value_or(0);
    case 'V':
      return layer.in() / vector_length(config);
    case 'W':
      return layer.out() / vector_length(config);
    default:
      return 0;
  }
}

/// One wanted dimension: a number, how found ones may differ from it, and how it is written.
struct Wanted {
  enum class Fit : std::uint8_t { kFree, kExact, kMultiple, kOneMore } fit = Fit::kFree;
  std::uint64_t value = 0;

  bool admits(std::uint64_t found) const noexcept {
    switch (fit) {
      case Fit::kFree:
        return true;
      case Fit::kExact:
        return found == value;
      case Fit::kMultiple:
        return value != 0 && found % value == 0;
      case Fit::kOneMore:
        return found == value || found == value + 1;
    }
    return false;
  }
  std::string text() const {
    if (fit == Fit::kFree) return "*";
    return (fit == Fit::kMultiple ? "a multiple of " : "") + std::to_string(value);
  }
};

Wanted read_dimension(std::string_view text, const BaseLayer& layer, const AdapterConfig& config) {
  if (text == "*") return {};
  std::uint64_t factor = 1;
  const auto [rest, failed] = std::from_chars(text.data(), text.data() + text.size(), factor);
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  if (text.empty()) return {Wanted::Fit::kExact, factor};
  Wanted wanted{Wanted::Fit::kExact,
                quantity(text[0], layer, config) * (failed == std::errc() ? factor : 1)};
  if (text[0] == 'G' || text[0] == 'S') wanted.fit = Wanted::Fit::kMultiple;
  if (text.ends_with('+')) wanted.fit = Wanted::Fit::kOneMore;
  if (text.size() > 2 && text[1] == '/') wanted.value /= static_cast<std::uint64_t>(text[2] - '0');
  return wanted;
}

/// The dimensions of one alternative, kernels written out.
std::vector<Wanted> read_shape(std::string_view text, const BaseLayer& layer,
                               const AdapterConfig& config) {
  std::vector<Wanted> wanted;
  for (const auto part : model::entries(text, ',')) {
    if (part != "K" && part != "N") {
      wanted.push_back(read_dimension(part, layer, config));
      continue;
    }
    for (std::size_t i = 2; i < layer.weight.size(); ++i) {
      wanted.push_back({Wanted::Fit::kExact, part == "K" ? layer.weight[i] : 1});
    }
  }
  return wanted;
}

bool product_fits(std::string_view rule, std::span<const std::uint64_t> shape,
                  const BaseLayer& layer, const AdapterConfig& config) {
  const auto a = static_cast<std::size_t>(rule[0] - '0');
  const auto b = static_cast<std::size_t>(rule[1] - '0');
  return base::checked_mul(shape[a], shape[b]) == quantity(rule[3], layer, config);
}

bool fits(std::string_view alternative, std::span<const std::uint64_t> shape,
          const BaseLayer& layer, const AdapterConfig& config) {
  const auto parts = model::entries(alternative, ';');
  const auto wanted = read_shape(parts[0], layer, config);
  if (wanted.size() != shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!wanted[i].admits(shape[i])) return false;
  }
  return std::all_of(parts.begin() + 1, parts.end(), [&](std::string_view rule) {
    return product_fits(rule, shape, layer, config);
  });
}

std::string describe(std::string_view alternative, const BaseLayer& layer,
                     const AdapterConfig& config) {
  const auto parts = model::entries(alternative, ';');
  std::string text;
  for (const auto& wanted : read_shape(parts[0], layer, config)) {
    text += (text.empty() ? "[" : ", ") + wanted.text();
  }
  text += "]";
  for (std::size_t i = 1; i < parts.size(); ++i) {
    text += std::string(i == 1 ? " with " : " and ") + "dimension " + parts[i][0] +
            " times dimension " + parts[i][1] + " = " +
            std::to_string(quantity(parts[i][3], layer, config));
  }
  return text;
}

/// Variants of LoRA whose A is cut into blocks or groups.
bool divides_factors(const AdapterConfig& config) {
  const auto* blocks = config.find("use_bdlora");
  return config.flag("use_qalora") || (blocks != nullptr && !blocks->is_null());
}

const AdapterTensor* either(const AdapterModule& module, std::string_view a, std::string_view b) {
  for (const auto& tensor : module.tensors()) {
    if ((tensor.role == a || tensor.role == b) && tensor.tensor.shape().size() >= 2) return &tensor;
  }
  return nullptr;
}

std::optional<std::string> lokr_disagrees(const AdapterModule& module, const BaseLayer& layer) {
  if (layer.kind != kOnLinear) return std::nullopt;
  const auto product = [&](std::string_view w1, std::string_view w1_part, std::string_view w2,
                           std::string_view w2_part,
                           std::size_t axis) -> std::optional<std::uint64_t> {
    const auto* first = either(module, w1, w1_part);
    const auto* second = either(module, w2, w2_part);
    if (first == nullptr || second == nullptr) return std::nullopt;
    return base::checked_mul(first->tensor.shape()[axis], second->tensor.shape()[axis]);
  };
  const auto out = product("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a", 0);
  const auto in = product("lokr_w1", "lokr_w1_b", "lokr_w2", "lokr_w2_b", 1);
  if ((!out || *out == layer.out()) && (!in || *in == layer.in())) return std::nullopt;
  return "its factors make an update of " +
         base::shape_text(std::vector{out.value_or(0), in.value_or(0)}) +
         ", the base's weight is " + base::shape_text(layer.weight);
}

std::optional<std::string> oft_disagrees(const AdapterConfig& config, const AdapterModule& module,
                                         const BaseLayer& layer) {
  const auto* blocks = either(module, "oft_R", "oft_embedding_R");
  if (blocks == nullptr) return std::nullopt;
  const auto count = blocks->tensor.shape()[0];
  const auto entries_each = blocks->tensor.shape()[1];
  // A skew-symmetric block of size b has b (b - 1) / 2 entries.
  std::uint64_t size = 1;
  while (size < 65536 && size * (size - 1) / 2 < entries_each) ++size;
  auto width = layer.kind == LayerKind::kEmbedding ? layer.out() : layer.in();
  if (layer.kind == kOnConv) width = base::checked_mul(width, kernel_of(layer)).value_or(0);
  const bool whole = size * (size - 1) / 2 == entries_each;
  const bool fits_in = config.flag("block_share") ? count == 1 && width % size == 0
                                                  : base::checked_mul(count, size) == width;
  if (whole && fits_in) return std::nullopt;
  return "its " + std::to_string(count) + " blocks of " + std::to_string(entries_each) +
         " entries do not divide the " + std::to_string(width) + " inputs of the base's layer" +
         (config.flag("block_share") ? " (block_share is on)" : "");
}

}  // namespace

std::uint64_t BaseLayer::in() const noexcept {
  if (weight.size() < 2) return weight.empty() ? 0 : weight[0];
  if (kind == LayerKind::kConv1D || kind == LayerKind::kEmbedding) return weight[0];
  return weight[1];
}

std::uint64_t BaseLayer::out() const noexcept {
  if (weight.size() < 2) return weight.empty() ? 0 : weight[0];
  if (kind == LayerKind::kConv1D || kind == LayerKind::kEmbedding) return weight[1];
  return weight[0];
}

std::optional<std::string> expected_shape(const AdapterConfig& config, const AdapterTensor& tensor,
                                          const BaseLayer& layer) {
  const auto* row = find_row(config.peft_type(), tensor, layer.kind);
  if (row == nullptr || (config.peft_type() == "LORA" && divides_factors(config))) {
    return std::nullopt;
  }
  const auto alternatives = model::entries(row->shapes);
  for (const auto alternative : alternatives) {
    if (fits(alternative, tensor.tensor.shape(), layer, config)) return std::nullopt;
  }
  return describe(alternatives.front(), layer, config);
}

std::optional<std::string> shapes_disagree(const AdapterConfig& config, const AdapterModule& module,
                                           const BaseLayer& layer) {
  if (layer.kind == LayerKind::kOther) return std::nullopt;
  if (config.peft_type() == "LOKR") return lokr_disagrees(module, layer);
  if (config.peft_type() == "OFT") return oft_disagrees(config, module, layer);
  return std::nullopt;
}

bool shape_is_known(std::string_view peft_type, const AdapterTensor& tensor, LayerKind kind) {
  return find_row(peft_type, tensor, kind) != nullptr;
}

}  // namespace ferrule::checks
