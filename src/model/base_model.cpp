// SPDX-License-Identifier: Apache-2.0
#include "model/base_model.hpp"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "io/digest.hpp"
#include "io/kind_at.hpp"
#include "io/transaction/directory_reader.hpp"
#include "model/quantization.hpp"
#include "model/shape_flow.hpp"
#include "peft/state_layout.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using model::BaseTensor;

constexpr const char* kConfigJson = "config.json";
constexpr std::string_view kBaseLayer = ".base_layer";

bool by_name(const BaseTensor& tensor, std::string_view name) { return tensor.name < name; }

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string fingerprint_of(const TensorSource& source) {
  std::vector<std::string> lines;
  lines.reserve(source.tensors().size());
  for (const auto& [name, tensor] : source.tensors()) {
    std::string line(name);
    for (const auto extent : tensor.shape()) line += '\t' + std::to_string(extent);
    lines.push_back(std::move(line += '\n'));
  }
  std::sort(lines.begin(), lines.end());
  io::Sha256 sum;
  for (const auto& line : lines) sum.update(bytes_of(line));
  return io::to_hex(sum.finish());
}

std::string first_architecture(const Json& config) {
  const auto* list = config.find("architectures");
  if (list == nullptr || list->if_array() == nullptr || list->if_array()->empty()) return {};
  const auto* text = list->if_array()->front().if_string();
  return text == nullptr ? std::string() : *text;
}

/// The config.json of that directory; null where there is none.
Result<Json> config_of(const fs::path& directory) {
  FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
  FERRULE_TRY(const auto file, reader.open_file(kConfigJson));
  if (!file) return Json();
  return read_base_config(directory / kConfigJson);
}

bool is_tensorless(const Error& error) { return error.code == ErrorCode::kNotFound; }

/// An adapter's file in place of a base: every key is of a PeftModel, and no layer is wrapped.
Result<void> refuse_adapter(const Checkpoint& source, const fs::path& path) {
  const auto tensors = source.tensors();
  const auto foreign = std::find_if(tensors.begin(), tensors.end(), [](const NamedTensor& tensor) {
    return !tensor.name.starts_with("base_model.") && tensor.name != "prompt_embeddings";
  });
  const bool wrapped = std::any_of(tensors.begin(), tensors.end(), [](const NamedTensor& tensor) {
    return tensor.name.find(kBaseLayer) != std::string_view::npos;
  });
  if (tensors.empty() || foreign != tensors.end() || wrapped) return {};
  return base::at(
      base::unsupported("BS-1", "a base model was expected, this is an adapter: it holds " +
                                    quote(tensors.front().name)),
      path);
}

/// Opens what `path` is: fills source and config.
Result<void> open_parts(const fs::path& path, const OpenOptions& options, model::BaseIndex& index) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kFolder) {
    FERRULE_TRY(index.config, config_of(path));
    auto source = Checkpoint::open(path, options);
    if (source) {
      index.source = std::move(source).value();
    } else if (index.config.is_null() || !is_tensorless(source.error()) ||
               source.error().rule == "ST-23") {
      return std::move(source).error();
    }
    return {};
  }
  const auto parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (path.extension() == ".json") {
    FERRULE_TRY(const auto text, read_text_file(path, options.limits.text_bytes));
    FERRULE_TRY(auto json, Json::parse(text, {.depth = 128, .allow_nan = true}));
    if (json.find("weight_map") == nullptr) {
      if (!json.is_object()) {
        return base::at(
            base::unsupported("BS-1", "this is neither an index of tensors nor a model's config"),
            path);
      }
      index.config = std::move(json);
      return {};
    }
  }
  FERRULE_TRY(index.source, Checkpoint::open(path, options));
  if (auto beside = config_of(parent)) index.config = std::move(beside).value();
  return {};
}

/// Tensors that one converter makes one of, by live name.
struct Gathered {
  const model::TransformersNames::Converter* converter = nullptr;
  std::vector<std::vector<std::vector<std::uint64_t>>> sources;
};

std::vector<std::uint64_t> shape_of(const TensorView& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

void realise(const std::string& name, const Gathered& gathered, std::vector<BaseTensor>& out) {
  const auto& converter = *gathered.converter;
  const auto shapes =
      model::follow_shapes(converter.operations, gathered.sources, converter.targets.size());
  for (std::size_t i = 0; i < converter.targets.size(); ++i) {
    auto live = name;
    const auto at = i == 0 ? std::string::npos : live.find(converter.targets[0]);
    if (at != std::string::npos)
      live.replace(at, converter.targets[0].size(), converter.targets[i]);
    const bool known = i < shapes.size();
    out.push_back({std::move(live), known ? shapes[i] : std::vector<std::uint64_t>(), known});
  }
}

/// Live names of a checkpoint whose class is known, or at least its type.
Result<void> name_by_rules(model::BaseIndex& index) {
  std::map<std::string, Gathered> gathered;
  for (const auto& [name, tensor] : index.listed().tensors()) {
    FERRULE_TRY(auto renamed, index.names.rename(name));
    if (renamed.name != name) index.disk_only.emplace_back(name);
    if (renamed.converter == nullptr) {
      index.tensors.push_back({std::move(renamed.name), shape_of(tensor)});
      continue;
    }
    auto& group = gathered[renamed.name];
    group.converter = renamed.converter;
    group.sources.resize(renamed.converter->sources);
    group.sources[renamed.source].push_back(shape_of(tensor));
  }
  for (const auto& [name, group] : gathered) realise(name, group, index.tensors);
  return {};
}

/// Names of a state dict: wrappers taken off, an adapter's own tensors left out.
Result<void> name_as_they_are(model::BaseIndex& index) {
  FERRULE_TRY(const auto layout, peft::StateLayout::read(index.listed(), {}));
  for (const auto& [key, tensor] : layout.entries()) {
    if (layout.is_adapter_key(key)) continue;
    std::string name = key;
    if (name.starts_with(peft::kModelPrefix)) name.erase(0, peft::kModelPrefix.size());
    for (auto at = name.find(kBaseLayer); at != std::string::npos; at = name.find(kBaseLayer)) {
      name.erase(at, kBaseLayer.size());
    }
    index.tensors.push_back({std::move(name), shape_of(tensor)});
  }
  return {};
}

/// from_pretrained puts the model's prefix before names that lack it, or takes it off, as the class
/// wants it: the weights of a plain model load into one with a head and the other way round.
void settle_prefix(model::BaseIndex& index) {
  const auto* row = index.names.model_class();
  if (row == nullptr || row->prefix.empty()) return;
  const auto prefix = std::string(row->prefix) + ".";
  const bool there = std::any_of(index.tensors.begin(), index.tensors.end(),
                                 [&](const BaseTensor& t) { return t.name.starts_with(prefix); });
  const bool wanted = model::has_child(*row, row->prefix).value_or(!model::is_plain_model(*row));
  if (there == wanted) return;
  for (auto& tensor : index.tensors) {
    if (wanted) {
      tensor.name.insert(0, prefix);
    } else if (tensor.name.starts_with(prefix)) {
      tensor.name.erase(0, prefix.size());
    }
  }
}

bool ties_embeddings(const model::BaseIndex& index, const model::ModelClass& row) {
  const auto* text = index.config.find("text_config");
  for (const auto* where : {&index.config, text}) {
    const auto* value = where == nullptr ? nullptr : where->find("tie_word_embeddings");
    if (value != nullptr && value->if_bool() != nullptr) return *value->if_bool();
  }
  return !row.ties.empty();
}

void note_tied(model::BaseIndex& index) {
  for (const auto& [removed, kept] : index.source->aliases()) {
    index.tied.emplace_back(std::string(removed), std::string(kept));
  }
  if (const auto* row = index.names.model_class(); row != nullptr && ties_embeddings(index, *row)) {
    for (const auto entry : model::entries(row->tied)) {
      const auto at = entry.find('=');
      if (at == std::string_view::npos) continue;
      index.tied.emplace_back(std::string(entry.substr(0, at)), std::string(entry.substr(at + 1)));
    }
  }
  std::sort(index.tied.begin(), index.tied.end());
}

/// Live paths of packed weights: as their module's weight would be renamed.
Result<void> find_packed(model::BaseIndex& index) {
  for (auto& [path, weight] : model::find_packed_weights(index.listed(), index.config)) {
    if (weight.quantized) index.packing = weight.format;
    auto live = path;
    if (!index.names.empty()) {
      FERRULE_TRY(const auto renamed, index.names.rename(path + ".weight"));
      if (renamed.converter == nullptr) live = renamed.name.substr(0, renamed.name.rfind('.'));
    }
    index.packed.insert_or_assign(std::move(live), weight);
  }
  const bool eight_bits =
      std::any_of(index.tensors.begin(), index.tensors.end(),
                  [](const BaseTensor& tensor) { return tensor.name.ends_with(".SCB"); });
  if (index.packing.empty() && eight_bits) index.packing = "bitsandbytes, 8 bits";
  if (index.packing.empty()) {
    index.packing = model::quantization_format(model::quantization_of(index.config));
  }
  return {};
}

void index_modules(model::BaseIndex& index) {
  for (const auto& tensor : index.tensors) {
    const auto dot = tensor.name.rfind('.');
    if (dot != std::string::npos) index.modules.push_back(tensor.name.substr(0, dot));
  }
  for (const auto& [path, weight] : index.packed) index.modules.push_back(path);
  for (const auto& [name, kept] : index.tied) {
    const auto dot = name.rfind('.');
    if (index.find(name) != nullptr && dot != std::string::npos)
      index.modules.push_back(name.substr(0, dot));
  }
  for (auto* list : {&index.modules, &index.disk_only}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  index.cores.reserve(index.modules.size());
  for (std::size_t i = 0; i < index.modules.size(); ++i) {
    index.cores.emplace_back(std::string(model::path_core(index.modules[i])), i);
  }
  std::sort(index.cores.begin(), index.cores.end());
}

/// What each module is, by the class of the model.
void find_kinds(model::BaseIndex& index) {
  const auto* row = index.names.model_class();
  if (row == nullptr) return;
  std::vector<std::string_view> names;
  names.reserve(index.tensors.size() + index.tied.size());
  for (const auto& tensor : index.tensors) names.push_back(tensor.name);
  for (const auto& [name, kept] : index.tied) {
    if (index.find(name) != nullptr) names.push_back(name);
  }
  std::vector<std::string> packed;
  for (const auto& [path, weight] : index.packed) packed.push_back(path + ".weight");
  names.insert(names.end(), packed.begin(), packed.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  index.live = model::live_modules(*row, index.config, names);
}

void list_all_modules(model::BaseIndex& index) {
  std::map<std::string, model::ModuleKind> found;
  for (const auto& module : index.live) found.emplace(module.path, module.kind);
  // Another release, or code of its own, may have modules that the table does not account for.
  for (const auto& module : index.modules) {
    for (auto at = module.find('.'); at != std::string::npos; at = module.find('.', at + 1)) {
      found.emplace(module.substr(0, at), model::ModuleKind());
    }
    found.emplace(module, model::ModuleKind());
  }
  index.all_modules.reserve(found.size());
  for (auto& [path, kind] : found) index.all_modules.push_back({path, kind});
}

Result<std::unique_ptr<model::BaseIndex>> open_index(const fs::path& path,
                                                     const OpenOptions& options, bool dequantized) {
  auto index = std::make_unique<model::BaseIndex>();
  FERRULE_CHECK(open_parts(path, options, *index));
  index->class_name = first_architecture(index->config);
  FERRULE_TRY(index->names, model::TransformersNames::make(index->config, index->class_name));
  if (!index->source) return index;
  FERRULE_CHECK(refuse_adapter(*index->source, path));
  index->fingerprint = fingerprint_of(*index->source);
  if (dequantized) {
    FERRULE_TRY(const auto found, model::find_quantized_weights(*index->source, index->config));
    index->plain = std::make_unique<const model::DequantizedNames>(*index->source, found);
  }
  FERRULE_CHECK(index->names.empty() ? name_as_they_are(*index) : name_by_rules(*index));
  settle_prefix(*index);
  std::sort(index->tensors.begin(), index->tensors.end(),
            [](const BaseTensor& a, const BaseTensor& b) { return a.name < b.name; });
  note_tied(*index);
  FERRULE_CHECK(find_packed(*index));
  index_modules(*index);
  find_kinds(*index);
  list_all_modules(*index);
  return index;
}

}  // namespace

std::string_view model::path_core(std::string_view path) {
  std::size_t start = 0;   // Of the component being read.
  std::size_t before = 0;  // Of the one before it.
  for (std::size_t at = 0; at <= path.size(); ++at) {
    if (at < path.size() && path[at] != '.') continue;
    const auto part = path.substr(start, at - start);
    const bool number = !part.empty() && std::all_of(part.begin(), part.end(),
                                                     [](char c) { return c >= '0' && c <= '9'; });
    if (number && start > 0) return path.substr(before);
    before = start;
    start = at + 1;
  }
  return path.substr(before);
}

const BaseTensor* model::BaseIndex::find(std::string_view name) const noexcept {
  const auto found = std::lower_bound(tensors.begin(), tensors.end(), name, by_name);
  if (found != tensors.end() && found->name == name) return &*found;
  const auto alias =
      std::lower_bound(tied.begin(), tied.end(), name,
                       [](const auto& pair, std::string_view word) { return pair.first < word; });
  if (alias == tied.end() || alias->first != name) return nullptr;
  const auto kept =
      std::lower_bound(tensors.begin(), tensors.end(), std::string_view(alias->second), by_name);
  return kept != tensors.end() && kept->name == alias->second ? &*kept : nullptr;
}

std::span<const BaseTensor> model::BaseIndex::below(std::string_view module) const noexcept {
  const auto low = std::string(module) + ".";
  const auto high = std::string(module) + "/";  // The character after '.'.
  const auto first =
      std::lower_bound(tensors.begin(), tensors.end(), std::string_view(low), by_name);
  const auto last = std::lower_bound(first, tensors.end(), std::string_view(high), by_name);
  return {first, last};
}

bool model::BaseIndex::has_module(std::string_view path) const noexcept {
  return std::binary_search(modules.begin(), modules.end(), path);
}

model::ModuleKind model::BaseIndex::kind_of(std::string_view path) const noexcept {
  const auto found = std::lower_bound(
      live.begin(), live.end(), path,
      [](const model::LiveModule& module, std::string_view name) { return module.path < name; });
  return found != live.end() && found->path == path ? found->kind : model::ModuleKind();
}

bool model::BaseIndex::was_on_disk(std::string_view name) const noexcept {
  return std::binary_search(disk_only.begin(), disk_only.end(), name);
}

std::optional<std::int64_t> model::BaseIndex::config_integer(std::string_view field) const {
  for (const Json* where : {&config, config.find("text_config")}) {
    const auto* value = where == nullptr ? nullptr : where->find(field);
    if (value != nullptr && value->if_int64() != nullptr) return *value->if_int64();
  }
  return std::nullopt;
}

BaseModel::BaseModel(std::unique_ptr<const model::BaseIndex> index) noexcept
    : index_(std::move(index)) {}
BaseModel::BaseModel(BaseModel&&) noexcept = default;
BaseModel& BaseModel::operator=(BaseModel&&) noexcept = default;
BaseModel::~BaseModel() = default;

Result<BaseModel> BaseModel::open(const fs::path& path, const OpenOptions& options) {
  FERRULE_TRY(auto index, open_index(path, options, false));
  return BaseModel(std::move(index));
}

Result<BaseModel> BaseModelAccess::open_dequantized(const fs::path& path,
                                                    const OpenOptions& options) {
  FERRULE_TRY(auto index, open_index(path, options, true));
  return BaseModel(std::move(index));
}

bool BaseModel::has_tensors() const noexcept { return index_->source.has_value(); }
std::uint64_t BaseModel::tensor_count() const noexcept {
  return index_->source ? index_->source->tensors().size() : 0;
}
const Json& BaseModel::config() const& noexcept { return index_->config; }
const std::string& BaseModel::class_name() const& noexcept { return index_->class_name; }
const std::string& BaseModel::fingerprint() const& noexcept { return index_->fingerprint; }

}  // namespace ferrule
