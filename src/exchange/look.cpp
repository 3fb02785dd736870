// SPDX-License-Identifier: Apache-2.0
#include "exchange/look.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "container/container.hpp"
#include "container/torch_layout.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text_file.hpp"
#include "io/folder.hpp"
#include "io/input_file.hpp"
#include "io/kind_at.hpp"

namespace ferrule::exchange {
namespace {

namespace fs = std::filesystem;

/// Files of a folder that show whose adapter it is, in the order in which they are asked.
constexpr std::string_view kWeights[] = {
    "adapter_model.safetensors", "adapters.safetensors", "adapter_model.bin", "adapter.safetensors",
    "adapter_model.pt",          "pytorch_adapter.bin",  "lora.safetensors"};

Result<void> look_into_folder(Look& look, const OpenOptions& options) {
  FERRULE_TRY(const auto folder, io::Folder::open(look.path));
  if (!folder) return {};
  FERRULE_TRY(const auto names, folder->names());
  for (const auto& name : names) {
    FERRULE_TRY(const auto kind, io::kind_at(look.path / name));
    look.names.push_back(kind == io::EntryKind::kFolder ? name + "/" : name);
  }
  if (look.has(kConfigFile)) {
    auto config = read_json(look.at(kConfigFile));
    if (config) {
      look.config = std::move(config).value();
      look.config_dialect = peft::dialect_of_config(look.config);
    } else {
      look.trouble = config.error();
    }
  }
  for (const auto name : kWeights) {
    if (!look.has(name)) continue;
    auto opened = open_tensors(look.at(name), options);
    if (!opened) {
      look.trouble = opened.error();
      continue;
    }
    look.opened_name = name;
    look.opened = *opened;
    look.key_dialect = peft::dialect_of(*opened->tensors).dialect;
    const auto tensors = opened->tensors->tensors();
    look.has_peft_keys = !tensors.empty() && tensors.front().name.starts_with("base_model.model.");
    break;
  }
  return {};
}

bool is_lightning(const io::InputFile& file, OpenOptions options) {
  options.torch_key = "state_dict";
  const auto layout = container::read_torch_layout(container::FileSource(file), options);
  return layout && layout->is_lightning;
}

}  // namespace

bool Look::has(std::string_view name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<OpenedTensors> Look::open(std::string_view name, const OpenOptions& options) const {
  if (name == opened_name && !name.empty()) return opened;
  return open_tensors(at(name), options);
}

bool Look::recognized_as(std::string_view name) const {
  return (config_dialect != nullptr && config_dialect->name == name) ||
         (key_dialect != nullptr && key_dialect->name == name);
}

Result<OpenedTensors> open_tensors(const fs::path& path, const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  FERRULE_TRY(const auto kind, container::kind_of(file));
  if (kind == FileKind::kSafetensors) {
    FERRULE_TRY(auto opened, SafetensorsFile::open(path, options));
    auto kept = std::make_shared<SafetensorsFile>(std::move(opened));
    auto metadata = kept->metadata();
    return OpenedTensors{std::move(kept), std::move(metadata)};
  }
  FERRULE_TRY(auto source, container::open_container(file, kind, options));
  return OpenedTensors{std::shared_ptr<const TensorSource>(std::move(source)), {}};
}

Result<Json> read_json(const fs::path& path) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind != io::EntryKind::kFile) return Json();
  FERRULE_TRY(const auto text, read_text_file(path));
  auto parsed = Json::parse(text, {.depth = 128, .allow_nan = true});
  if (!parsed) {
    auto error = parsed.error();
    error.path = path.string();
    return error;
  }
  return parsed;
}

Result<Look> look_at(const fs::path& path, const OpenOptions& options) {
  Look look;
  look.path = path;
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kFolder) {
    look.is_folder = true;
    FERRULE_CHECK(look_into_folder(look, options));
    return look;
  }
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  FERRULE_TRY(look.kind, container::kind_of(file));
  if (look.kind == FileKind::kSafetensors || look.kind == FileKind::kTorchZip ||
      look.kind == FileKind::kTorchLegacy) {
    auto opened = open_tensors(path, options);
    if (opened) {
      look.tensors = opened->tensors;
      look.metadata = opened->metadata;
      look.key_dialect = peft::dialect_of(*look.tensors).dialect;
    } else {
      look.trouble = opened.error();
    }
  }
  // A state dict one level down: of a whole training, or what --key asked for.
  if (look.kind == FileKind::kTorchZip || look.kind == FileKind::kTorchLegacy) {
    if (look.trouble || !options.torch_key.empty()) look.is_lightning = is_lightning(file, options);
  }
  return look;
}

}  // namespace ferrule::exchange
