// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/gguf/architecture.hpp"

#include <algorithm>
#include <vector>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
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

RowOrder make_order(std::uint64_t rows, const auto& source) {
  auto order = std::make_shared<std::vector<std::uint32_t>>(static_cast<std::size_t>(rows));
  for (std::uint64_t i = 0; i < rows; ++i) {
    (*order)[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(source(i));
  }
  return order;
}

Result<std::uint64_t> heads(const BaseFacts& base, std::initializer_list<const char*> fields) {
  if (const auto* model = base.model()) {
    for (const auto* field : fields) {
      const auto count = model->integer(field);
      if (count && *count > 0 && *count < (1 << 20)) return static_cast<std::uint64_t>(*count);
    }
  }
  return base::unsupported("EX-4", std::string("llama.cpp changes the order of rows by heads, and "
                                               "the base does not say how many there are (") +
                                       *fields.begin() + "); give --base");
}

Error does_not_divide(std::string_view path, std::uint64_t rows, std::uint64_t heads) {
  return base::unsupported("EX-9", "module " + quote(path) + " has " + std::to_string(rows) +
                                       " rows, which " + std::to_string(heads) +
                                       " heads of the base do not divide: the adapter is of "
                                       "another model");
}

Result<RowOrder> permuted(std::string_view path, std::uint64_t rows, const BaseFacts& base) {
  FERRULE_TRY(auto count, heads(base, {"num_attention_heads", "n_heads", "n_head"}));
  if (path.ends_with("k_proj")) {
    if (const auto* model = base.model()) {
      const auto kv = model->integer("num_key_value_heads");
      if (kv && *kv > 0) count = static_cast<std::uint64_t>(*kv);
    }
  }
  if (rows % (2 * count) != 0) return does_not_divide(path, rows, count);
  const auto size = rows / count;
  return make_order(rows, [&](std::uint64_t i) {
    const auto in_head = i % size;
    return i / size * size + in_head % 2 * (size / 2) + in_head / 2;
  });
}

Result<RowOrder> by_heads(std::string_view path, std::uint64_t rows, const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base, {"num_attention_heads", "n_head"}));
  if (rows % (3 * count) != 0) return does_not_divide(path, rows, count);
  const auto size = rows / count / 3;
  return make_order(rows, [&](std::uint64_t i) {
    const auto part = i / (count * size);
    const auto head = i % (count * size) / size;
    return (head * 3 + part) * size + i % size;
  });
}

/// falcon: groups of some q, one k and one v.
Result<RowOrder> by_groups(std::string_view path, std::uint64_t rows, const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base, {"num_attention_heads", "n_head"}));
  const auto& model = *base.model();
  std::uint64_t groups = count;
  const bool one = model.flag("multi_query").value_or(true) &&
                   !model.flag("new_decoder_architecture").value_or(false);
  if (one) {
    groups = 1;
  } else if (const auto kv = model.integer("num_kv_heads"); kv && *kv > 0) {
    groups = static_cast<std::uint64_t>(*kv);
  }
  if (count % groups != 0 || rows % (count + 2 * groups) != 0) {
    return does_not_divide(path, rows, count);
  }
  const auto size = rows / (count + 2 * groups);
  const auto each = count / groups;
  return make_order(rows, [&](std::uint64_t i) {
    const auto head = i / size;
    if (head < count) return (head / each * (each + 2) + head % each) * size + i % size;
    const auto part = (head - count) / groups;
    return ((head - count) % groups * (each + 2) + each + part) * size + i % size;
  });
}

}  // namespace

Result<const Architecture*> architecture_of(const BaseFacts& base, std::string_view arch) {
  std::string wanted(arch);
  if (wanted.empty() && base.model() != nullptr) wanted = base.model()->class_name();
  if (wanted.empty()) {
    return base::unsupported("EX-4",
                             "the names of a GGUF file depend on the model: give --base (a "
                             "folder with its config.json) or --arch");
  }
  for (const auto& architecture : kArchitectures) {
    if (architecture.class_name == wanted) return &architecture;
  }
  if (const auto* found = architecture_named(wanted)) return found;
  std::vector<std::string_view> names;
  for (const auto& architecture : kArchitectures) names.push_back(architecture.class_name);
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

std::optional<std::string> tensor_of(const Architecture& architecture, std::string_view path) {
  const auto pattern = pattern_of(path);
  for (const auto& name : architecture.names) {
    if (name.path == pattern.text) return with_layer(name.tensor, pattern.layer);
  }
  const auto wanted = plain(pattern.text);
  for (const auto& name : architecture.names) {
    if (plain(name.path) == wanted) return with_layer(name.tensor, pattern.layer);
  }
  return std::nullopt;
}

std::optional<std::string> path_of(const Architecture& architecture, std::string_view tensor) {
  const auto pattern = pattern_of(tensor);
  for (const auto& name : architecture.names) {
    if (name.tensor == pattern.text) return with_layer(name.path, pattern.layer);
  }
  return std::nullopt;
}

Result<RowOrder> rows_of(const Architecture& architecture, std::string_view path,
                         std::uint64_t rows, const BaseFacts& base) {
  if (rows > (std::uint64_t{1} << 31)) return does_not_divide(path, rows, 1);
  switch (architecture.rows) {
    case RowChange::kPermute:
      if (path.ends_with("q_proj") || path.ends_with("k_proj")) return permuted(path, rows, base);
      break;
    case RowChange::kHeads:
      if (path.ends_with("query_key_value")) return by_heads(path, rows, base);
      break;
    case RowChange::kGroups:
      if (path.ends_with("query_key_value")) return by_groups(path, rows, base);
      break;
    case RowChange::kNone:
      break;
  }
  return RowOrder();
}

RowOrder inverse(const RowOrder& order) {
  auto out = std::make_shared<std::vector<std::uint32_t>>(order->size());
  for (std::size_t i = 0; i < order->size(); ++i) {
    (*out)[(*order)[i]] = static_cast<std::uint32_t>(i);
  }
  return out;
}

}  // namespace ferrule::exchange::gguf
