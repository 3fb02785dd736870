// SPDX-License-Identifier: Apache-2.0
#include "exchange/base_facts.hpp"

#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/look.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/text_file.hpp"
#include "io/folder.hpp"
#include "io/kind_at.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

bool is_weights(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") ||
         name.ends_with(".bin") || name.ends_with(".bin.index.json") || name.ends_with(".pt") ||
         name.ends_with(".pth");
}

/// The modules of the weights in that folder, if there are any.
Result<void> read_modules(const fs::path& folder, const OpenOptions& options, BaseComponent& out) {
  FERRULE_TRY(const auto opened, io::Folder::open(folder));
  if (!opened) return {};
  FERRULE_TRY(const auto names, opened->names());
  bool weights = false;
  for (const auto& name : names) {
    weights = weights || (is_weights(name) && !name.starts_with("adapter_"));
  }
  if (!weights) return {};
  const auto source = Checkpoint::open(folder, options);
  if (!source) return source.error();
  for (const auto& [name, tensor] : source->tensors()) {
    constexpr std::string_view kWeight = ".weight";
    if (!name.ends_with(kWeight)) continue;
    out.modules.emplace(std::string(name.substr(0, name.size() - kWeight.size())),
                        std::vector<std::uint64_t>(tensor.shape().begin(), tensor.shape().end()));
  }
  return {};
}

Result<BaseComponent> open_component(const fs::path& folder, const OpenOptions& options) {
  BaseComponent out;
  FERRULE_TRY(out.config, read_json(folder / "config.json"));
  FERRULE_CHECK(read_modules(folder, options, out));
  return out;
}

const Json* field_of(const Json& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value != nullptr && !value->is_null()) return value;
  for (const auto* part : {"text_config", "language_config", "llm_config"}) {
    const auto* below = config.find(part);
    if (below == nullptr) continue;
    const auto* inner = below->find(field);
    if (inner != nullptr && !inner->is_null()) return inner;
  }
  return nullptr;
}

}  // namespace

std::optional<std::int64_t> BaseComponent::integer(std::string_view field) const {
  const auto* value = field_of(config, field);
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  return number == nullptr ? std::nullopt : std::optional(*number);
}

std::optional<bool> BaseComponent::flag(std::string_view field) const {
  const auto* value = field_of(config, field);
  const auto* set = value == nullptr ? nullptr : value->if_bool();
  return set == nullptr ? std::nullopt : std::optional(*set);
}

std::string BaseComponent::class_name() const {
  const auto* list = config.find("architectures");
  if (list != nullptr && list->if_array() != nullptr && !list->if_array()->empty()) {
    if (const auto* text = list->if_array()->front().if_string()) return *text;
  }
  const auto* name = config.find("_class_name");
  const auto* text = name == nullptr ? nullptr : name->if_string();
  return text == nullptr ? std::string() : *text;
}

const BaseComponent* BaseFacts::component(std::string_view name) const {
  const auto found = components.find(name);
  return found == components.end() ? nullptr : &found->second;
}

Result<BaseFacts> open_base(const fs::path& path, const OpenOptions& options) {
  BaseFacts out;
  out.path = path;
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kNothing) {
    return base::at(base::not_found("there is no such base"), path);
  }
  if (kind != io::EntryKind::kFolder) {
    FERRULE_TRY(out.components[""].config, read_json(path));
    return out;
  }
  FERRULE_TRY(const auto index, read_json(path / "model_index.json"));
  if (index.is_null()) {
    FERRULE_TRY(out.components[""], open_component(path, options));
    if (out.components[""].config.is_null() && out.components[""].modules.empty()) {
      return base::at(base::not_found("EX-4", "the base has no config.json and no weights"), path);
    }
    return out;
  }
  FERRULE_TRY(const auto folder, io::Folder::open(path));
  if (!folder) return out;
  FERRULE_TRY(const auto names, folder->names());
  for (const auto& name : names) {
    FERRULE_TRY(const auto config, io::kind_at(path / name / "config.json"));
    if (config != io::EntryKind::kFile) continue;
    FERRULE_TRY(out.components[name], open_component(path / name, options));
  }
  return out;
}

}  // namespace ferrule::exchange
