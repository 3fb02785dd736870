// SPDX-License-Identifier: Apache-2.0
#include "rescue/zero_files.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/zero_experts.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;
using format::PickleValue;

constexpr std::uint64_t kMaxRanks = 65536;
/// Values of a ds_config that are compared between files.
constexpr std::size_t kComparedValues = 20000;

constexpr std::string_view kModelEnd = "_model_states.pt";
constexpr std::string_view kOptimizerEnd = "_optim_states.pt";

/// Takes `head` and the number after it from the front of `text`.
std::optional<std::uint64_t> take_number(std::string_view& text, std::string_view head) {
  if (!text.starts_with(head)) return std::nullopt;
  const auto digits = text.substr(head.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end == digits.data()) return std::nullopt;
  text = digits.substr(static_cast<std::size_t>(end - digits.data()));
  return number;
}

class ZeroOpener {
 public:
  ZeroOpener(Sources& sources, const fs::path& folder, const std::vector<std::string>& names)
      : sources_(sources), folder_(folder), names_(names) {}

  Result<ZeroFiles> open() {
    FERRULE_CHECK(sort_names());
    FERRULE_CHECK(open_models());
    FERRULE_CHECK(open_optimizers());
    FERRULE_CHECK(check_run());
    FERRULE_CHECK(check_steps());
    return std::move(files_);
  }

 private:
  Result<void> sort_names() {
    for (const auto& name : names_) {
      const auto parsed = parse_zero_name(name);
      if (!parsed) continue;
      if (parsed->model_parallel_rank != 0) {
        return base::at(base::unsupported("RS-7", "it is of model parallel rank " +
                                                      std::to_string(parsed->model_parallel_rank) +
                                                      ": tensor or pipeline parallel checkpoints "
                                                      "of DeepSpeed are not read"),
                        (folder_ / name).string());
      }
      auto& place = parsed->is_model ? models_ : optimizers_;
      const auto rank = parsed->rank.value_or(0);
      if (parsed->is_model && parsed->rank) files_.is_stage3 = true;
      if (!parsed->is_model) prefix_ = parsed->prefix;
      if (!place.emplace(rank, name).second) {
        return base::at(base::corrupt("RS-5", "two files are of rank " + std::to_string(rank) +
                                                  ", the other is " + quote(place[rank])),
                        (folder_ / name).string());
      }
    }
    return {};
  }

  Result<void> open_models() {
    if (models_.empty()) {
      files_.is_stage3 = stage_of_optimizers() == 3;
      return missing(0, true);
    }
    FERRULE_TRY(auto first, TorchState::open(sources_, folder_ / models_.begin()->second));
    FERRULE_CHECK(read_world(first));
    FERRULE_CHECK(check_parallel(first));
    const auto count = files_.is_stage3 ? files_.world_size : 1;
    FERRULE_CHECK(check_ranks(models_, count, true));
    files_.models.push_back(std::move(first));
    FERRULE_TRY(files_.experts, open_experts(sources_, files_.models.front(), folder_, names_));
    if (files_.is_stage3 && !files_.experts.empty()) {
      return base::at(base::unsupported("RS-7",
                                        "it is of a job with expert parallel layers and "
                                        "ZeRO-3, which is not read"),
                      files_.models.front().path().string());
    }
    for (std::uint64_t rank = 1; rank < count; ++rank) {
      FERRULE_TRY(auto model, TorchState::open(sources_, folder_ / models_[rank]));
      const auto world = integer(model, "dp_world_size");
      if (world && static_cast<std::uint64_t>(*world) != files_.world_size) {
        return model.bad("RS-5", "it is of a job of " + std::to_string(*world) + " ranks, " +
                                     quote(models_[0]) + " of one of " +
                                     std::to_string(files_.world_size));
      }
      files_.models.push_back(std::move(model));
    }
    return {};
  }

  /// For the name of the file that is missing.
  std::int64_t stage_of_optimizers() const {
    if (optimizers_.empty()) return 0;
    const auto state = TorchState::open(sources_, folder_ / optimizers_.begin()->second);
    const auto stage = state ? state->view().find_path(state->view().root(),
                                                       {"ds_config", "zero_optimization", "stage"})
                             : std::nullopt;
    return stage ? state->view().integer(*stage).value_or(0) : 0;
  }

  Result<void> open_optimizers() {
    if (optimizers_.empty() && !has_zero()) return {};
    FERRULE_CHECK(check_ranks(optimizers_, files_.world_size, false));
    for (std::uint64_t rank = 0; rank < files_.world_size; ++rank) {
      FERRULE_TRY(auto state, TorchState::open(sources_, folder_ / optimizers_[rank]));
      const auto view = state.view();
      const auto inner = view.find(view.root(), "optimizer_state_dict");
      if (!inner || !view.is_dict(*inner)) {
        return state.bad("RS-5", "it has no optimizer_state_dict: not a file of DeepSpeed's ZeRO");
      }
      FERRULE_CHECK(check_partitions(state, *inner));
      files_.optimizers.push_back(std::move(state));
    }
    return {};
  }

  Result<void> read_world(const TorchState& first) {
    const auto world = integer(first, "dp_world_size");
    if (!world || *world < 1 || static_cast<std::uint64_t>(*world) > kMaxRanks) {
      return first.bad("RS-5", "it does not say how many ranks the job had (dp_world_size)");
    }
    files_.world_size = static_cast<std::uint64_t>(*world);
    return {};
  }

  /// RS-7.
  static Result<void> check_parallel(const TorchState& model) {
    const auto view = model.view();
    const auto refuse = [&](std::string_view what, std::int64_t degree) {
      return base::at(base::unsupported("RS-7", "its " + std::string(what) + " is " +
                                                    std::to_string(degree) + "; only 1 is read"),
                      model.path().string());
    };
    if (const auto world = integer(model, "mp_world_size"); world && *world != 1) {
      return refuse("mp_world_size", *world);
    }
    const auto dimensions = view.find(view.root(), "checkpoint_parallel_dimensions");
    if (!dimensions) return {};
    for (const auto* key : {"tp_degree", "pp_degree"}) {
      const auto value = view.find(*dimensions, key);
      const auto degree = value ? view.integer(*value) : std::nullopt;
      if (degree && *degree != 1) return refuse(key, *degree);
    }
    return {};
  }

  /// RS-5: ranks 0 to count - 1, and no others.
  Result<void> check_ranks(const std::map<std::uint64_t, std::string>& found, std::uint64_t count,
                           bool is_model) const {
    for (std::uint64_t rank = 0; rank < count; ++rank) {
      if (!found.contains(rank)) return missing(rank, is_model);
    }
    if (found.size() == count) return {};
    const auto& [rank, name] = *found.rbegin();
    return base::at(
        base::corrupt("RS-5", "it is of rank " + std::to_string(rank) + ", but " +
                                  quote(models_.begin()->second) + " says that the job had " +
                                  std::to_string(count) + " ranks: files of two jobs are mixed"),
        (folder_ / name).string());
  }

  Error missing(std::uint64_t rank, bool is_model) const {
    const auto number = std::to_string(rank);
    std::string name = is_model && !files_.is_stage3 ? "mp_rank_00" : "";
    if (name.empty()) {
      name = (is_model ? std::string() : prefix_) + "zero_pp_rank_" + number + "_mp_rank_00";
    }
    name += is_model ? kModelEnd : kOptimizerEnd;
    return base::at(base::corrupt("RS-5", "the file of rank " + number + " is missing"),
                    (folder_ / name).string());
  }

  /// RS-5: the number of partitions, which is an int, or one for each group.
  Result<void> check_partitions(const TorchState& state, const PickleValue& inner) const {
    const auto view = state.view();
    const auto count = view.find(inner, "partition_count");
    // Experts are divided among fewer ranks.
    if (!count || !files_.experts.empty()) return {};
    std::vector<PickleValue> all(view.items(*count).begin(), view.items(*count).end());
    if (all.empty()) all.push_back(*count);
    for (const auto& item : all) {
      const auto partitions = view.integer(item);
      if (!partitions || static_cast<std::uint64_t>(*partitions) == files_.world_size) continue;
      return state.bad("RS-5", "its weights are in " + std::to_string(*partitions) +
                                   " partitions, but the job had " +
                                   std::to_string(files_.world_size) + " ranks");
    }
    return {};
  }

  bool has_zero() const {
    const auto& model = files_.models.front();
    const auto view = model.view();
    const auto stage = view.find_path(view.root(), {"ds_config", "zero_optimization", "stage"});
    return files_.is_stage3 || (stage && view.integer(*stage).value_or(0) > 0);
  }

  /// RS-6: files of one run have one configuration and one version of DeepSpeed.
  Result<void> check_run() const {
    const auto& first = files_.models.front();
    for (const auto* key : {"ds_config", "ds_version"}) {
      const auto expected = first.view().find(first.view().root(), key);
      for (const auto* group : {&files_.models, &files_.optimizers}) {
        for (const auto& file : *group) {
          const auto found = file.view().find(file.view().root(), key);
          std::size_t budget = kComparedValues;
          if (!expected || !found ||
              format::same_plain_data(first.pickle(), *expected, file.pickle(), *found, budget)) {
            continue;
          }
          return file.bad("RS-6", "it was written by another run: its " + std::string(key) +
                                      " is not that of " + quote(first.path().filename().string()));
        }
      }
    }
    return {};
  }

  /// RS-6.
  Result<void> check_steps() {
    const auto& first = files_.models.front();
    const auto steps = integer(first, "global_steps");
    const auto skipped = integer(first, "skipped_steps").value_or(0);
    files_.step = steps;
    for (const auto& model : files_.models) {
      const auto found = integer(model, "global_steps");
      if (found == steps) continue;
      return model.bad("RS-6", "it is of step " + step_text(found) + ", " +
                                   quote(first.path().filename().string()) + " of step " +
                                   step_text(steps));
    }
    std::optional<std::int64_t> before;
    for (const auto& optimizer : files_.optimizers) {
      FERRULE_TRY(const auto step, optimizer_step(optimizer));
      if (!step) continue;
      files_.is_step_proved = true;
      const auto expected = steps ? std::optional(*steps - skipped) : before;
      if (expected && *step != *expected) {
        return optimizer.bad("RS-6", "its optimizer is at step " + std::to_string(*step) +
                                         ", but " + quote(first.path().filename().string()) +
                                         " is of step " + std::to_string(*expected) +
                                         ": files of two steps are mixed");
      }
      before = step;
    }
    return {};
  }

  static std::string step_text(const std::optional<std::int64_t>& step) {
    return step ? std::to_string(*step) : std::string("unknown");
  }

  Result<std::optional<std::int64_t>> optimizer_step(const TorchState& file) const {
    const auto view = file.view();
    const auto outer = view.find(view.root(), "optimizer_state_dict");
    for (const auto* key : {"base_optimizer_state", "optimizer_state_dict"}) {
      const auto inner = outer ? view.find(*outer, key) : std::nullopt;
      if (!inner) continue;
      const auto state = view.find(*inner, "state");
      const auto pairs = state ? view.pairs(*state) : std::span<const PickleValue>();
      for (std::size_t i = 0; i < pairs.size(); i += 2) {
        FERRULE_TRY(const auto step, step_in(file, pairs[i + 1]));
        if (step) return step;
      }
      const auto groups = view.find(*inner, "param_groups");
      for (const auto& group : groups ? view.items(*groups) : std::span<const PickleValue>()) {
        FERRULE_TRY(const auto step, step_in(file, group));
        if (step) return step;
      }
    }
    return std::optional<std::int64_t>();
  }

  Result<std::optional<std::int64_t>> step_in(const TorchState& file,
                                              const PickleValue& dict) const {
    const auto value = file.view().find(dict, "step");
    if (!value) return std::optional<std::int64_t>();
    FERRULE_TRY(const auto number, file.number(sources_, *value));
    if (!number || !(std::fabs(*number) < 9e15)) return std::optional<std::int64_t>();
    return std::optional<std::int64_t>(static_cast<std::int64_t>(*number));
  }

  static std::optional<std::int64_t> integer(const TorchState& file, std::string_view key) {
    const auto view = file.view();
    const auto value = view.find(view.root(), key);
    return value ? view.integer(*value) : std::nullopt;
  }

  Sources& sources_;
  const fs::path& folder_;
  const std::vector<std::string>& names_;
  std::map<std::uint64_t, std::string> models_;
  std::map<std::uint64_t, std::string> optimizers_;
  std::string prefix_;
  ZeroFiles files_;
};

}  // namespace

std::optional<ZeroName> parse_zero_name(std::string_view name) {
  ZeroName parsed;
  if (name.ends_with(kModelEnd)) {
    parsed.is_model = true;
    name.remove_suffix(kModelEnd.size());
  } else if (name.ends_with(kOptimizerEnd)) {
    name.remove_suffix(kOptimizerEnd.size());
  } else {
    return std::nullopt;
  }
  for (const std::string_view prefix : {"bf16_", "fp16_"}) {
    if (!name.starts_with(prefix)) continue;
    parsed.prefix = prefix;
    name.remove_prefix(prefix.size());
  }
  if (auto rank = take_number(name, "zero_pp_rank_")) {
    parsed.rank = rank;
    if (!name.starts_with('_')) return std::nullopt;
    name.remove_prefix(1);
  } else if (!parsed.is_model) {
    return std::nullopt;
  }
  const auto model_parallel = take_number(name, "mp_rank_");
  if (!model_parallel || !name.empty()) return std::nullopt;
  parsed.model_parallel_rank = *model_parallel;
  return parsed;
}

Result<ZeroFiles> open_zero_files(Sources& sources, const fs::path& folder,
                                  const std::vector<std::string>& names) {
  return ZeroOpener(sources, folder, names).open();
}

}  // namespace ferrule::rescues
