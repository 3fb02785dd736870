// SPDX-License-Identifier: Apache-2.0
#include "rescue/zero.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/sources.hpp"
#include "rescue/zero_files.hpp"
#include "rescue/zero_groups.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;
using format::PickleValue;

class ZeroReader {
 public:
  ZeroReader(const std::shared_ptr<Sources>& sources, ZeroFiles files, PreferredWeights prefer)
      : sources_(*sources), files_(std::move(files)), prefer_(prefer) {}

  Result<Found> read(const fs::path& folder) {
    found_.folder = folder;
    found_.kind = "a checkpoint of DeepSpeed (" + stage() + ")";
    found_.step = files_.step;
    found_.world_size = files_.world_size;
    found_.has_optimizer = !files_.optimizers.empty();
    FERRULE_TRY(groups_, read_parameter_groups(files_));
    FERRULE_CHECK(files_.is_stage3 ? read_stage3() : read_whole());
    FERRULE_CHECK(add_shared());
    if (!files_.is_step_proved && !files_.optimizers.empty()) {
      found_.note_unproved(
          "the optimizer does not count its steps: that the "
          "files of all ranks are of one step is not proved");
    }
    return std::move(found_);
  }

 private:
  const TorchState& first() const { return files_.models.front(); }

  std::string stage() const {
    if (files_.is_stage3) return "ZeRO-3";
    if (files_.optimizers.empty()) return "without ZeRO";
    const auto view = first().view();
    const auto value = view.find_path(view.root(), {"ds_config", "zero_optimization", "stage"});
    const auto number = value ? view.integer(*value) : std::nullopt;
    return number ? "ZeRO-" + std::to_string(*number) : std::string("ZeRO");
  }

  // Stages 0 to 2.

  Result<void> read_whole() {
    const auto view = first().view();
    const auto module = view.find(view.root(), "module");
    if (!module || !view.is_dict(*module)) {
      return first().bad("RS-10", "it has no weights (no dictionary \"module\")");
    }
    std::map<std::string, std::vector<Piece>> master;
    if (files_.experts.empty()) {
      FERRULE_CHECK(read_partitions(master));
    } else {
      FERRULE_CHECK(read_experts());
    }
    const auto pairs = view.pairs(*module);
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      if (!name) return first().bad("RS-10", "a key of \"module\" is not a text");
      if (!is_tensor(view, pairs[i + 1])) continue;
      FERRULE_TRY(auto tensor, first().tensor(sources_, *name, pairs[i + 1]));
      const auto flat = master.find(tensor.name);
      if (prefer_ == PreferredWeights::kMaster && flat != master.end()) {
        tensor.dtype = tensor.stored = master_dtype_;
        tensor.pieces = flat->second;
      }
      found_.tensors.push_back(std::move(tensor));
    }
    return {};
  }

  /// Whole tensors in files of their own, which say neither their step nor their run (RS-17).
  Result<void> read_experts() {
    if (prefer_ == PreferredWeights::kMaster) {
      return base::at(base::unsupported("RS-7",
                                        "the FP32 weights of a job with expert parallel "
                                        "layers are not read: take the working ones"),
                      first().path().string());
    }
    for (const auto& expert : files_.experts) {
      const auto view = expert.view();
      const auto pairs = view.pairs(view.root());
      for (std::size_t i = 0; i < pairs.size(); i += 2) {
        const auto name = view.text(pairs[i]);
        if (!name || !is_tensor(view, pairs[i + 1])) continue;
        FERRULE_TRY(auto tensor, expert.tensor(sources_, *name, pairs[i + 1]));
        found_.tensors.push_back(std::move(tensor));
      }
    }
    found_.note_unproved(
        "the files of the experts do not say their step: that "
        "they are of the model's is not proved");
    return {};
  }

  /// The FP32 weights: read in any case, since files that do not fit the parameters are not of
  /// this checkpoint (RS-8).
  Result<void> read_partitions(std::map<std::string, std::vector<Piece>>& master) {
    if (files_.optimizers.empty()) return {};
    std::vector<std::vector<Flat>> groups(groups_.size());
    std::vector<std::uint64_t> lengths(groups_.size(), 0);
    for (const auto& file : files_.optimizers) {
      const auto view = file.view();
      const auto list =
          view.find_path(view.root(), {"optimizer_state_dict", "single_partition_of_fp32_groups"});
      if (!list || view.items(*list).size() != groups_.size()) {
        return file.bad(
            "RS-8", "it has weights of " + std::to_string(list ? view.items(*list).size() : 0) +
                        " groups of parameters, the model has " + std::to_string(groups_.size()));
      }
      for (std::size_t g = 0; g < groups_.size(); ++g) {
        FERRULE_CHECK(add_flat(file, view.items(*list)[g], lengths[g], groups[g]));
      }
      if (&file == &files_.optimizers.front()) read_paddings(file);
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      FERRULE_CHECK(cut_group(groups_[g], groups[g], lengths[g], master));
    }
    return {};
  }

  /// `param_alignment_paddings`, which DeepSpeed 0.19 writes.
  void read_paddings(const TorchState& file) {
    const auto view = file.view();
    const auto all =
        view.find_path(view.root(), {"optimizer_state_dict", "param_alignment_paddings"});
    if (!all) return;
    const auto lists = view.items(*all);
    for (std::size_t g = 0; g < std::min(lists.size(), groups_.size()); ++g) {
      const auto paddings = view.items(lists[g]);
      if (paddings.size() != groups_[g].size()) continue;
      for (std::size_t i = 0; i < paddings.size(); ++i) {
        groups_[g][i].padding = view.count(paddings[i]).value_or(0);
      }
    }
  }

  Result<void> cut_group(const std::vector<Parameter>& parameters, const std::vector<Flat>& group,
                         std::uint64_t length, std::map<std::string, std::vector<Piece>>& master) {
    std::uint64_t at = 0;
    std::uint64_t end = 0;
    for (const auto& parameter : parameters) {
      cut(group, at, parameter.elements, 0, master[parameter.name]);
      end = at + parameter.elements;
      at = base::checked_add(end, parameter.padding).value_or(~std::uint64_t{0} >> 1);
    }
    // A group is padded to a multiple of twice the ranks; newer releases leave the padding out.
    const auto aligned = 2 * files_.world_size;
    if (length >= end && length <= std::max(at, end) + aligned) return {};
    return files_.optimizers.front().bad(
        "RS-8", "the weights of all ranks have " + std::to_string(length) +
                    " elements together, the parameters need " + std::to_string(end));
  }

  Result<void> add_flat(const TorchState& file, const PickleValue& value, std::uint64_t& length,
                        std::vector<Flat>& sequence) {
    FERRULE_TRY(auto tensor, file.tensor(sources_, "a flat group of weights", value));
    if (tensor.shape.size() != 1 ||
        (!tensor.pieces.empty() && !tensor.pieces.front().strides.empty())) {
      return file.bad("RS-8",
                      "a flat group of weights has the shape " + base::shape_text(tensor.shape));
    }
    if (tensor.shape[0] == 0) return {};
    const auto end = base::checked_add(length, tensor.shape[0]);
    if (!end) return file.bad("RS-8", "its weights have more elements than 64 bits can count");
    sequence.push_back({.first = length,
                        .elements = tensor.shape[0],
                        .place = tensor.pieces.front(),
                        .dtype = tensor.stored});
    if (sequence.front().dtype != tensor.stored) {
      return file.bad("RS-8", "its groups of weights have several dtypes");
    }
    master_dtype_ = tensor.stored;
    length = *end;
    return {};
  }

  // Stage 3.

  Result<void> read_stage3() {
    std::vector<std::vector<Flat>> ranks;
    for (const auto& file : files_.optimizers) {
      std::uint64_t length = 0;
      auto& sequence = ranks.emplace_back();
      FERRULE_CHECK(read_flat_groups(file, sequence, length));
      std::uint64_t needed = 0;
      for (const auto& group : groups_) {
        for (const auto& parameter : group) needed += part(parameter.elements);
      }
      if (needed == length) continue;
      return file.bad("RS-8", "it has " + std::to_string(length) +
                                  " elements of weights, its part of the parameters is " +
                                  std::to_string(needed));
    }
    std::uint64_t at = 0;
    for (const auto& group : groups_) {
      for (const auto& parameter : group) {
        FoundTensor tensor{.name = parameter.name,
                           .dtype = master_dtype_,
                           .stored = master_dtype_,
                           .shape = parameter.shape};
        add_parts(ranks, at, parameter.elements, tensor);
        if (prefer_ == PreferredWeights::kWorking) tensor.dtype = working_dtype(parameter.name);
        found_.tensors.push_back(std::move(tensor));
        at += part(parameter.elements);
      }
    }
    FERRULE_CHECK(read_frozen());
    return read_module_names();
  }

  std::uint64_t part(std::uint64_t elements) const {
    return elements / files_.world_size + (elements % files_.world_size != 0 ? 1 : 0);
  }

  void add_parts(const std::vector<std::vector<Flat>>& ranks, std::uint64_t at,
                 std::uint64_t elements, FoundTensor& tensor) const {
    const auto each = part(elements);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      const auto first = std::min(elements, rank * each);
      const auto count = std::min(each, elements - first);
      if (count != 0) cut(ranks[rank], at, count, first, tensor.pieces);
    }
  }

  Result<void> read_flat_groups(const TorchState& file, std::vector<Flat>& sequence,
                                std::uint64_t& length) {
    const auto view = file.view();
    const auto groups = view.find_path(view.root(), {"optimizer_state_dict", "fp32_flat_groups"});
    if (!groups) {
      return file.bad("RS-8",
                      "it has no fp32_flat_groups: the weights were kept elsewhere "
                      "(offloaded to a disk?), or this is not ZeRO-3");
    }
    if (is_tensor(view, *groups)) return add_flat(file, *groups, length, sequence);
    for (const auto& group : view.items(*groups)) {
      FERRULE_CHECK(add_flat(file, group, length, sequence));
    }
    return {};
  }

  /// The model's own dtype, which its empty tensors still have.
  Dtype working_dtype(std::string_view name) const {
    const auto view = first().view();
    const auto module = view.find(view.root(), "module");
    const auto value = module ? view.find(*module, name) : std::nullopt;
    if (!value || !is_tensor(view, *value)) return master_dtype_;
    const auto tensor = first().object().tensor(*value);
    return tensor ? tensor->dtype : master_dtype_;
  }

  Result<void> read_frozen() {
    const auto view = first().view();
    const auto shapes = view.find(view.root(), "frozen_param_shapes");
    const auto pairs = shapes ? view.pairs(*shapes) : std::span<const PickleValue>();
    if (pairs.empty()) return {};
    std::vector<std::map<std::string_view, PickleValue>> fragments;
    for (const auto& model : files_.models) {
      auto& of_rank = fragments.emplace_back();
      const auto list = model.view().find(model.view().root(), "frozen_param_fragments");
      const auto all = list ? model.view().pairs(*list) : std::span<const PickleValue>();
      for (std::size_t i = 0; i < all.size(); i += 2) {
        if (const auto name = model.view().text(all[i])) of_rank.emplace(*name, all[i + 1]);
      }
    }
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      auto shape = view.counts(pairs[i + 1]);
      if (!name || !shape || shape->size() > kMaxRank || !byte_size(Dtype::kF64, *shape)) continue;
      FERRULE_CHECK(add_frozen(*name, *std::move(shape), fragments));
    }
    return {};
  }

  Result<void> add_frozen(std::string_view name, std::vector<std::uint64_t> shape,
                          const std::vector<std::map<std::string_view, PickleValue>>& fragments) {
    FoundTensor tensor{.name = std::string(name), .shape = std::move(shape)};
    const auto elements = element_count(tensor.shape).value_or(0);
    const auto each = part(elements);
    for (std::size_t rank = 0; rank < fragments.size(); ++rank) {
      const auto found = fragments[rank].find(name);
      if (found == fragments[rank].end()) break;
      FERRULE_TRY(const auto fragment, files_.models[rank].tensor(sources_, name, found->second));
      tensor.dtype = tensor.stored = fragment.dtype;
      const auto first = std::min(elements, rank * each);
      const auto count = std::min(each, elements - first);
      if (count == 0 || fragment.pieces.empty()) continue;
      if (fragment.shape.size() != 1 || fragment.shape[0] < count) break;
      Piece piece = fragment.pieces.front();
      piece.is_range = true;
      piece.offsets = {first};
      piece.sizes = {count};
      tensor.pieces.push_back(std::move(piece));
    }
    tensor.is_absent = tensor.pieces.empty();
    found_.tensors.push_back(std::move(tensor));
    return {};
  }

  /// Whatever else the model has: buffers, which are whole, and the names of what was left out.
  Result<void> read_module_names() {
    std::set<std::string, std::less<>> known;
    for (const auto& tensor : found_.tensors) known.insert(tensor.name);
    const auto view = first().view();
    const auto module = view.find(view.root(), "module");
    const auto pairs = module ? view.pairs(*module) : std::span<const PickleValue>();
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      if (!name || known.contains(*name) || !is_tensor(view, pairs[i + 1])) continue;
      FERRULE_TRY(auto tensor, first().tensor(sources_, *name, pairs[i + 1]));
      tensor.is_absent = tensor.pieces.empty();
      found_.tensors.push_back(std::move(tensor));
    }
    return {};
  }

  /// `shared_params`: names of parameters that share the memory of another.
  Result<void> add_shared() {
    const auto view = first().view();
    const auto shared = view.find(view.root(), "shared_params");
    const auto pairs = shared ? view.pairs(*shared) : std::span<const PickleValue>();
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      const auto kept = view.text(pairs[i + 1]);
      if (!name || !kept) continue;
      const auto by_name = [&](std::string_view wanted) {
        return std::find_if(found_.tensors.begin(), found_.tensors.end(),
                            [&](const FoundTensor& tensor) { return tensor.name == wanted; });
      };
      const auto source = by_name(*kept);
      if (source == found_.tensors.end()) continue;
      FoundTensor copy = *source;
      copy.name = *name;
      const auto place = by_name(*name);
      if (place == found_.tensors.end()) {
        found_.tensors.push_back(std::move(copy));
      } else if (place->is_absent) {
        *place = std::move(copy);
      }
    }
    return {};
  }

  Sources& sources_;
  ZeroFiles files_;
  PreferredWeights prefer_;
  std::vector<std::vector<Parameter>> groups_;
  Dtype master_dtype_ = Dtype::kF32;
  Found found_;
};

}  // namespace

bool is_zero_folder(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return parse_zero_name(name).has_value(); });
}

Result<Found> find_zero(const std::shared_ptr<Sources>& sources, const fs::path& folder,
                        const std::vector<std::string>& names, PreferredWeights prefer) {
  FERRULE_TRY(auto files, open_zero_files(*sources, folder, names));
  return ZeroReader(sources, std::move(files), prefer).read(folder);
}

}  // namespace ferrule::rescues
