// SPDX-License-Identifier: Apache-2.0
#include "rescue/universal.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"
#include "io/walk.hpp"
#include "rescue/sources.hpp"
#include "rescue/torch_pieces.hpp"
#include "rescue/zero_files.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;
using format::PickleValue;

class UniversalReader {
 public:
  UniversalReader(Sources& sources, const fs::path& folder, PreferredWeights prefer)
      : sources_(sources), folder_(folder), prefer_(prefer) {}

  Result<Found> read() {
    FERRULE_TRY(auto model, open_model());
    const auto view = model.view();
    found_.kind = "a universal checkpoint of DeepSpeed";
    found_.folder = folder_;
    found_.has_optimizer = true;
    if (const auto steps = view.find(view.root(), "global_steps")) {
      found_.step = view.integer(*steps);
    }
    if (const auto skipped = view.find(view.root(), "skipped_steps")) {
      skipped_ = view.integer(*skipped).value_or(0);
    }
    FERRULE_CHECK(check_order(model));
    FERRULE_CHECK(read_parameters(model));
    FERRULE_CHECK(read_module(model));
    return std::move(found_);
  }

 private:
  Result<TorchState> open_model() {
    FERRULE_TRY(auto listing, io::list_by_kind(folder_, io::Stages::kSkip));
    std::sort(listing.files.begin(), listing.files.end());
    for (const auto& name : listing.files) {
      const auto parsed = parse_zero_name(name);
      if (!parsed || !parsed->is_model) continue;
      if (parsed->model_parallel_rank != 0) {
        return base::at(base::unsupported("RS-7", "it is of model parallel rank " +
                                                      std::to_string(parsed->model_parallel_rank)),
                        (folder_ / name).string());
      }
      return TorchState::open(sources_, folder_ / name);
    }
    return base::at(base::corrupt("RS-5", "the model's file is missing"),
                    (folder_ / "mp_rank_00_model_states.pt").string());
  }

  /// RS-8: ds_to_universal cuts the flat weights of ZeRO-2 by places that do not hold if
  /// round_robin_gradients shuffled the parameters.
  Result<void> check_order(const TorchState& model) const {
    const auto view = model.view();
    const auto shuffled =
        view.find_path(view.root(), {"ds_config", "zero_optimization", "round_robin_gradients"});
    const auto stage = view.find_path(view.root(), {"ds_config", "zero_optimization", "stage"});
    if (prefer_ != PreferredWeights::kMaster || !shuffled || !stage ||
        view.integer(*shuffled).value_or(0) == 0 || view.integer(*stage).value_or(0) != 2) {
      return {};
    }
    return model.bad(
        "RS-8",
        "the job had round_robin_gradients, with which DeepSpeed's conversion mixes up "
        "the FP32 weights: take the working weights, or the checkpoint before its "
        "conversion");
  }

  Result<void> read_parameters(const TorchState& model) {
    const auto view = model.view();
    const auto groups = view.find(view.root(), "param_shapes");
    if (!groups || !view.is_sequence(*groups)) {
      return model.bad("RS-8", "it has no param_shapes: an old or unknown form");
    }
    for (const auto& group : view.items(*groups)) {
      const auto pairs = view.pairs(group);
      for (std::size_t i = 0; i < pairs.size(); i += 2) {
        const auto name = view.text(pairs[i]);
        auto shape = view.counts(pairs[i + 1]);
        if (!name || !shape || shape->size() > kMaxRank || !byte_size(Dtype::kF64, *shape)) {
          return model.bad("RS-8", "an entry of param_shapes is not a name and a shape");
        }
        if (name->find('/') != std::string_view::npos || name->starts_with('.')) {
          return model.bad("RS-8", quote(*name) + " is not the name of a parameter");
        }
        FERRULE_CHECK(read_parameter(std::string(*name), *std::move(shape)));
      }
    }
    return {};
  }

  Result<void> read_parameter(const std::string& name, std::vector<std::uint64_t> shape) {
    const auto place = folder_ / "zero" / name;
    FERRULE_TRY(const auto file, TorchState::open(sources_, place / "fp32.pt"));
    const auto view = file.view();
    const auto value =
        view.is_dict(view.root()) ? view.find(view.root(), "param") : std::optional(view.root());
    if (!value) return file.bad("RS-8", "it has no \"param\"");
    FERRULE_TRY(auto tensor, file.tensor(sources_, name, *value));
    const auto elements = element_count(shape).value_or(0);
    if (tensor.shape != shape) {
      if (tensor.shape.size() != 1 || tensor.shape[0] != elements || tensor.pieces.empty() ||
          !tensor.pieces.front().strides.empty()) {
        return file.bad("RS-8", "it has the shape " + base::shape_text(tensor.shape) +
                                    ", the model's parameter is " + base::shape_text(shape));
      }
      tensor.pieces.front().is_range = true;
      tensor.shape = std::move(shape);
    }
    FERRULE_CHECK(check_step(place / "step.pt"));
    master_.emplace(name, std::move(tensor));
    return {};
  }

  /// RS-6.
  Result<void> check_step(const fs::path& path) {
    FERRULE_TRY(const auto kind, io::kind_at(path));
    if (kind == io::EntryKind::kNothing || !found_.step) return {};
    FERRULE_TRY(const auto file, TorchState::open(sources_, path));
    FERRULE_TRY(const auto step, file.number(sources_, file.view().root()));
    if (!step || *step == static_cast<double>(*found_.step - skipped_)) return {};
    return file.bad("RS-6", "its optimizer is at step " +
                                std::to_string(static_cast<std::int64_t>(*step)) +
                                ", the model is of step " + std::to_string(*found_.step));
  }

  /// Names and dtypes; whole weights if the model's file has them.
  Result<void> read_module(const TorchState& model) {
    const auto view = model.view();
    const auto module = view.find(view.root(), "module");
    const auto pairs = module ? view.pairs(*module) : std::span<const PickleValue>();
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view.text(pairs[i]);
      if (!name || !is_tensor(view, pairs[i + 1])) continue;
      FERRULE_TRY(auto tensor, model.tensor(sources_, *name, pairs[i + 1]));
      const auto master = master_.find(tensor.name);
      if (master == master_.end()) {
        tensor.is_absent = tensor.pieces.empty();
        found_.tensors.push_back(std::move(tensor));
        continue;
      }
      const bool is_whole = tensor.shape == master->second.shape;
      if (is_whole && prefer_ != PreferredWeights::kMaster) {
        found_.tensors.push_back(std::move(tensor));
      } else {
        if (prefer_ == PreferredWeights::kWorking) master->second.dtype = tensor.dtype;
        found_.tensors.push_back(std::move(master->second));
      }
      master_.erase(master);
    }
    for (auto& [name, tensor] : master_) found_.tensors.push_back(std::move(tensor));
    return {};
  }

  Sources& sources_;
  const fs::path& folder_;
  PreferredWeights prefer_;
  std::int64_t skipped_ = 0;
  std::map<std::string, FoundTensor, std::less<>> master_;
  Found found_;
};

}  // namespace

Result<Found> find_universal(const std::shared_ptr<Sources>& sources, const fs::path& folder,
                             PreferredWeights prefer) {
  return UniversalReader(*sources, folder, prefer).read();
}

}  // namespace ferrule::rescues
