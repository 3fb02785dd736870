// SPDX-License-Identifier: Apache-2.0
#include "merge/base_files.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "container/checkpoint_folder.hpp"
#include "container/container.hpp"
#include "container/safetensors_file_access.hpp"
#include "container/sharded_index.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"
#include "io/our_name.hpp"

namespace ferrule::merging {
namespace {

/// Files in which quantizers say what they did, beside config.json.
constexpr std::array<std::string_view, 3> kQuantizers = {
    "quantize_config.json", "quant_config.json", "hf_quant_config.json"};

/// All tensors of the base as one source.
class AllTensors final : public TensorSource {
 public:
  AllTensors(const std::vector<DiskTensor>& tensors,
             const std::map<std::string, std::size_t, std::less<>>& by_name)
      : tensors_(tensors), by_name_(by_name) {
    list_.reserve(tensors.size());
    for (const auto& tensor : tensors) list_.push_back({tensor.name, tensor.view});
  }
  std::span<const NamedTensor> tensors() const& noexcept override { return list_; }
  std::optional<TensorView> find(std::string_view name) const& noexcept override {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::nullopt;
    return tensors_[found->second].view;
  }
  std::span<const TensorAlias> aliases() const& noexcept override { return {}; }

 private:
  const std::vector<DiskTensor>& tensors_;
  const std::map<std::string, std::size_t, std::less<>>& by_name_;
  std::vector<NamedTensor> list_;
};

/// True for files that hold a whole model's weights in some format.
bool is_weights_name(std::string_view name) {
  constexpr std::array<std::string_view, 9> kEnds = {".safetensors",
                                                     ".bin.index.json",
                                                     ".safetensors.index.json",
                                                     ".h5",
                                                     ".msgpack",
                                                     ".gguf",
                                                     ".pth",
                                                     ".ot",
                                                     ".onnx"};
  if (name.starts_with("pytorch_model") && name.ends_with(".bin")) return true;
  return std::any_of(kEnds.begin(), kEnds.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

bool same_content(const io::FileIdentity& a, const io::FileIdentity& b) {
  // A hard link changes the time of change, which is therefore not compared.
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.modified_ns == b.modified_ns;
}

}  // namespace

Result<BaseFiles> BaseFiles::open(const std::filesystem::path& directory,
                                  const OpenOptions& options) {
  BaseFiles base;
  FERRULE_TRY(base.reader_, io::DirectoryReader::open(directory));
  FERRULE_TRY(const auto names, base.reader_->names());
  FERRULE_CHECK(base.open_weights(names, options));
  FERRULE_CHECK(base.sort_others(names));
  return base;
}

Result<void> BaseFiles::open_weights(const std::vector<std::string>& names,
                                     const OpenOptions& options) {
  const auto choice = container::choose_files(names);
  if (choice.chosen.empty()) {
    const auto what = container::describe_folder(names);
    return base::at(base::not_found("MG-4", "the base has no weights (*.safetensors or *.bin)" +
                                                (what.empty() ? "" : "; " + what)),
                    reader_->path());
  }
  for (const auto& name : choice.chosen) {
    if (!name.ends_with(".json")) {
      FERRULE_CHECK(add_file(name, options));
      continue;
    }
    FERRULE_TRY(const auto file, reader_->open_file(name));
    if (!file) return base::at(base::not_found("the file went away"), reader_->path() / name);
    FERRULE_TRY(index_text_, file->read_text(options.limits.text_bytes));
    index_name_ = name;
    auto index = container::parse_sharded_index(index_text_);
    if (!index) return base::at(std::move(index).error(), reader_->path() / name);
    for (const auto& shard : index->shards) {
      FERRULE_CHECK(add_file(shard.file, options));
      auto held = container::check_shard(shard, *weights_.back().source);
      if (!held) return base::at(std::move(held).error(), reader_->path() / name);
    }
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
  return {};
}

Result<void> BaseFiles::add_file(const std::string& name, const OpenOptions& options) {
  FERRULE_TRY(auto input, reader_->open_file(name));
  if (!input) {
    return base::at(base::not_found("ST-23", "the shard is missing"), reader_->path() / name);
  }
  FERRULE_TRY(const auto identity, io::identity_of(input->fd(), input->path()));
  FERRULE_TRY(const auto kind, container::kind_of(*input));
  WeightsFile file{.name = name, .input = std::move(*input), .identity = identity, .source = {}};
  if (kind == FileKind::kSafetensors) {
    FERRULE_TRY(auto opened, SafetensorsFileAccess::open(file.input, options));
    file.metadata = opened.metadata();
    file.has_metadata = opened.has_metadata();
    file.source = std::make_unique<SafetensorsFile>(std::move(opened));
  } else {
    FERRULE_TRY(file.source, container::open_container(file.input, kind, options));
    file.is_torch = true;
  }
  std::uint64_t data = 0;
  for (const auto& [tensor_name, view] : file.source->tensors()) data += view.bytes().size();
  file.data_start = file.is_torch ? 0 : file.input.size() - data;
  std::uint64_t offset = file.data_start;
  for (const auto& [tensor_name, view] : file.source->tensors()) {
    file.tensors.push_back(tensors_.size());
    tensors_.push_back({.name = std::string(tensor_name),
                        .view = view,
                        .file = weights_.size(),
                        .offset = offset});
    offset += view.bytes().size();
  }
  weights_.push_back(std::move(file));
  return {};
}

Result<void> BaseFiles::sort_others(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const bool ours = name == index_name_ ||
                      std::any_of(weights_.begin(), weights_.end(),
                                  [&](const WeightsFile& file) { return file.name == name; });
    if (ours || io::is_our_name(name)) continue;
    FERRULE_TRY(const auto kind, io::kind_at(reader_->path() / name));
    // Neither pipes nor links that lead to nothing are files of a model.
    if (kind == io::EntryKind::kFolder) folders_.push_back(name);
    if (kind != io::EntryKind::kFile) continue;
    if (is_weights_name(name) && !name.starts_with("adapter_")) {
      left_out_.push_back(name);
    } else {
      others_.push_back(name);
    }
  }
  return {};
}

Result<bool> BaseFiles::show_dequantized(const Json& config) {
  auto found = model::find_quantized_weights(AllTensors(tensors_, by_name_), config);
  if (!found) return base::at(std::move(found).error(), reader_->path());
  if (found->weights.empty()) return false;
  std::map<std::string, std::shared_ptr<const model::QuantizedWeight>, std::less<>> by_main;
  for (auto& weight : found->weights) {
    auto main = weight.main;
    by_main.emplace(std::move(main),
                    std::make_shared<const model::QuantizedWeight>(std::move(weight)));
  }
  auto old = std::move(tensors_);
  tensors_.clear();
  by_name_.clear();
  for (auto& file : weights_) {
    const auto places = std::move(file.tensors);
    file.tensors.clear();
    for (const auto place : places) {
      auto& tensor = old[place];
      const auto main = by_main.find(tensor.name);
      if (main != by_main.end()) {
        tensor.quantized = main->second;
        tensor.name = main->second->name;
        tensor.view = TensorViewAccess::unchecked(Dtype::kF32, main->second->shape, {});
      }
      const bool gone =
          main == by_main.end() &&
          std::binary_search(found->consumed.begin(), found->consumed.end(), tensor.name);
      file.dequantized = file.dequantized || gone || tensor.quantized != nullptr;
      if (gone) continue;
      by_name_.emplace(tensor.name, tensors_.size());
      file.tensors.push_back(tensors_.size());
      tensors_.push_back(std::move(tensor));
    }
  }
  for (const auto name : kQuantizers) {
    const auto at = std::find(others_.begin(), others_.end(), name);
    if (at == others_.end()) continue;
    left_out_.push_back(*at);
    others_.erase(at);
  }
  return true;
}

const DiskTensor* BaseFiles::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

Result<void> BaseFiles::check_unchanged() const {
  for (const auto& file : weights_) {
    const auto changed = [&] {
      return base::at(base::corrupt("MG-7", "the base changed while it was merged: start again"),
                      file.input.path());
    };
    FERRULE_TRY(const auto now, io::identity_of(file.input.fd(), file.input.path()));
    if (!same_content(now, file.identity)) return changed();
    FERRULE_TRY(const auto there, reader_->open_file(file.name));
    if (!there) return changed();
    FERRULE_TRY(const auto named, io::identity_of(there->fd(), there->path()));
    if (!same_content(named, file.identity)) return changed();
  }
  return {};
}

}  // namespace ferrule::merging
