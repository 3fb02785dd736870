// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/gguf/architecture.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "exchange/experts.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange::gguf {
namespace {

#include "exchange/dialects/gguf/names_data.inc"

/// A path with its layer's number (and an expert's) taken out.
struct Pattern {
  std::string text;
  std::string layer;
};

Pattern pattern_of(std::string_view path) {
  Pattern out;
  bool after_experts = false;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('.', at), path.size());
    const auto part = path.substr(at, end - at);
    if (!out.text.empty()) out.text += '.';
    if (part.size() < 9 && base::is_number(part) && after_experts) {
      out.text += '%';
    } else if (part.size() < 9 && base::is_number(part) && out.layer.empty()) {
      out.layer = part;
      out.text += '#';
    } else {
      out.text += part;
    }
    after_experts = part == "experts";
    at = end + 1;
  }
  return out;
}

std::string without(std::string_view text, std::string_view part) {
  std::string out(text);
  if (const auto at = out.find(part); at != std::string::npos) out.erase(at, part.size());
  return out;
}

std::string with_layer(std::string_view pattern, const std::string& layer) {
  std::string out(pattern);
  if (const auto at = out.find('#'); at != std::string::npos) out.replace(at, 1, layer);
  return out;
}

/// Both without what differs between releases and kinds of models.
std::string plain(std::string_view path) {
  auto out = without(path, "language_model.");
  for (const std::string_view head : {"model.", "transformer."}) {
    if (out.starts_with(head)) return out.substr(head.size());
  }
  return out;
}

/// Tensors that llama.cpp (de3ff815) multiplies with directly, so that adapters do not count.
struct Ignored {
  std::string_view architecture;
  std::string_view tensor;
};
constexpr Ignored kIgnored[] = {{"deepseek2", ".attn_q"},       {"deepseek2", ".attn_q_a"},
                                {"deepseek2", ".attn_q_b"},     {"deepseek2", ".attn_kv_a_mqa"},
                                {"deepseek2", "output"},        {"minicpm3", ".attn_q_a"},
                                {"minicpm3", ".attn_q_b"},      {"minicpm3", ".attn_kv_b"},
                                {"minicpm3", ".attn_kv_a_mqa"}, {"gemma3n", ".altup_router"}};

const Architecture* class_named(std::string_view name) {
  for (const auto& architecture : kArchitectures) {
    if (architecture.class_name == name) return &architecture;
  }
  return nullptr;
}

/// A hybrid without one layer of mamba: llama.cpp then says "granite" or "granitemoe".
bool has_only_attention(const BaseComponent& model) {
  const auto* value = model.config.find("layer_types");
  const auto* layers = value == nullptr ? nullptr : value->if_array();
  return layers != nullptr && !layers->empty() &&
         std::all_of(layers->begin(), layers->end(), [](const Json& layer) {
           const auto* kind = layer.if_string();
           return kind != nullptr && kind->ends_with("attention");
         });
}

/// Of a class, or an architecture of llama.cpp; null if neither is known.
const Architecture* known_as(const std::string& wanted, const BaseFacts& base) {
  // The models of some classes have other tensors, or another name.
  if (base.model() != nullptr) {
    const bool is_dense = expert_count(base) == 0;
    const auto attention = wanted + "/attention";
    if (class_named(attention) != nullptr && has_only_attention(*base.model())) {
      return class_named(is_dense ? attention + "/dense" : attention);
    }
    if (const auto* found = is_dense ? class_named(wanted + "/dense") : nullptr) return found;
  }
  if (const auto* found = class_named(wanted)) return found;
  return architecture_named(wanted);
}

}  // namespace

Result<const Architecture*> architecture_of(const BaseFacts& base, std::string_view arch) {
  std::string wanted(arch);
  const auto own = base.model() == nullptr ? std::string() : base.model()->class_name();
  if (wanted.empty()) wanted = own;
  if (wanted.empty()) {
    return base::unsupported("EX-4",
                             "the names of a GGUF file depend on the model: give --base (a "
                             "folder with its config.json) or --arch");
  }
  if (const auto* found = known_as(wanted, base)) {
    const auto* of_base = known_as(own, base);
    if (of_base == nullptr || of_base->name == found->name) return found;
    return base::unsupported("EX-11", "--arch says " + quote(wanted) + " (" +
                                          std::string(found->name) + "), and the base is " +
                                          quote(own) + " (" + std::string(of_base->name) + ")");
  }
  std::vector<std::string_view> names;
  for (const auto& architecture : kArchitectures) {
    if (architecture.class_name.find('/') == architecture.class_name.npos) {
      names.push_back(architecture.class_name);
    }
  }
  std::string message = "models of the class " + quote(wanted) +
                        " are not among those whose GGUF names Ferrule knows";
  if (const auto near = suggest(wanted, names)) message += "; did you mean " + std::string(*near);
  return base::unsupported("EX-9", std::move(message));
}

const Architecture* architecture_named(std::string_view name) {
  for (const auto& architecture : kArchitectures) {
    // Of several classes, the one that most models are of.
    if (architecture.name == name &&
        (name != "llama" || architecture.class_name == "LlamaForCausalLM")) {
      return &architecture;
    }
  }
  return nullptr;
}

std::vector<Piece> pieces_of(const Architecture& architecture, std::string_view path) {
  const auto pattern = pattern_of(path);
  std::string_view known = pattern.text;
  const auto is_known = [&](const Name& name) { return name.path == known; };
  if (std::none_of(architecture.names.begin(), architecture.names.end(), is_known)) {
    const auto wanted = plain(pattern.text);
    for (const auto& name : architecture.names) {
      if (plain(name.path) != wanted) continue;
      known = name.path;
      break;
    }
  }
  std::vector<Piece> pieces;
  for (const auto& name : architecture.names) {
    if (is_known(name)) pieces.push_back({with_layer(name.tensor, pattern.layer), name.rows});
  }
  return pieces;
}

std::optional<Place> place_of(const Architecture& architecture, std::string_view tensor) {
  const auto pattern = pattern_of(tensor);
  for (const auto& name : architecture.names) {
    if (name.tensor == pattern.text) return Place{with_layer(name.path, pattern.layer), name.rows};
  }
  return std::nullopt;
}

bool is_ignored(const Architecture& architecture, std::string_view tensor) {
  return std::any_of(std::begin(kIgnored), std::end(kIgnored), [&](const Ignored& ignored) {
    return ignored.architecture == architecture.name &&
           (ignored.tensor.front() == '.' ? tensor.ends_with(ignored.tensor)
                                          : tensor == ignored.tensor);
  });
}

}  // namespace ferrule::exchange::gguf
