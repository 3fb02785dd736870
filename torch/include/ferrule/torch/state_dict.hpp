// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/checkpoint.hpp"
#include "ferrule/torch/model.hpp"

namespace ferrule::libtorch {

struct LoadStateOptions {
  /// Fails on names that only one side has. Otherwise they are listed in the report.
  bool strict = true;
  /// Removed from the names of the files ("model." if they are those of a larger model); names
  /// without it are those of other parts, and count as unexpected.
  std::string prefix = {};
  OpenOptions open = {};
};

/// What load_state_dict() read.
struct LoadStateReport {
  /// Parameters and buffers of the model that were filled.
  std::uint64_t tensors = 0;
  /// Names that the files lack, and names that the model lacks.
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
};

namespace detail {

/// Parameters and buffers of a model under the names of its base: as if no adapter were there.
inline std::map<std::string, Tensor> base_tensors(const Places& places) {
  std::map<std::string, Tensor> tensors;
  const auto add = [&tensors](const std::string& path, const Module& module, bool all) {
    const auto prefix = path.empty() ? "" : path + ".";
    for (const auto& entry : module.named_parameters(all)) {
      tensors.emplace(prefix + entry.key(), entry.value());
    }
    for (const auto& entry : module.named_buffers(all)) {
      tensors.emplace(prefix + entry.key(), entry.value());
    }
  };
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_changed()) {
      add(place.path, *place.module, false);
      continue;
    }
    const AdaptableAccess access(*place.adaptable);
    if (auto* base = access.base_layer()) {
      add(place.path, *base->module(), true);
    } else {
      add(place.path, *access.original(), true);
    }
  }
  return tensors;
}

/// Refuses names that only one side has.
inline Result<void> check_names(const LoadStateReport& report) {
  if (report.missing.empty() && report.unexpected.empty()) return {};
  std::string message;
  if (!report.missing.empty()) {
    message = "the files lack " + std::to_string(report.missing.size()) +
              " of the model's tensors: " + name_list(report.missing);
  }
  if (!report.unexpected.empty()) {
    message += std::string(message.empty() ? "" : "; ") + "the model has no place for " +
               std::to_string(report.unexpected.size()) + ": " + name_list(report.unexpected);
  }
  return refuse(ErrorCode::kInvalidArgument, "LT-17", std::move(message));
}

}  // namespace detail

/// Fills the parameters and buffers of a model by name from a base model's weights: a safetensors
/// or torch file, an index of shards, or a folder with one of them (as Checkpoint). Values are
/// converted to the dtype and device of the model's tensors. Works with adapters in the model, too:
/// names are those of the base. A name that the files lack is no gap if the model has its memory
/// under another name (a tied head), or save_model dropped it as shared.
///
/// Fails, with the model as it was, with kInvalidArgument (LT-13; LT-17: names, shapes), as
/// Checkpoint::open(), or with kUnsupported for a dtype that LibTorch lacks. One tensor at a time
/// is in memory.
inline Result<LoadStateReport> load_state_dict(const ModelRef& model,
                                               const std::filesystem::path& path,
                                               const LoadStateOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<LoadStateReport> {
    const auto files = Checkpoint::open(path, options.open);
    if (!files) return files.error();
    const auto places = detail::places_of(model);
    const auto tensors = detail::base_tensors(places);
    const auto fail = [&path](Error error) {
      if (error.path.empty()) error.path = path.string();
      return error;
    };
    LoadStateReport report;
    std::map<std::string, std::pair<Tensor, TensorView>> fillings;
    std::set<const void*> filled;
    const auto take = [&](const std::string& name, const TensorView& view) -> Result<bool> {
      const auto found = tensors.find(places.first_name(name));
      if (found == tensors.end()) return false;
      const auto shape = detail::shape_of(found->second);
      if (!std::equal(shape.begin(), shape.end(), view.shape().begin(), view.shape().end())) {
        return detail::refuse(ErrorCode::kInvalidArgument, "LT-17",
                              "tensor " + quote(name) + ": the model has " +
                                  detail::shape_text(shape) + ", the file " +
                                  detail::shape_text(view.shape()));
      }
      if (!to_scalar_type(view.dtype())) {
        return detail::refuse(ErrorCode::kUnsupported, "LT-17",
                              "tensor " + quote(name) + ": dtype " +
                                  std::string(dtype_name(view.dtype())) +
                                  " is not known to LibTorch here");
      }
      fillings.insert_or_assign(found->first, std::pair(found->second, view));
      if (found->second.has_storage())
        filled.insert(found->second.storage().unsafeGetStorageImpl());
      return true;
    };
    for (const auto& [name, view] : files->tensors()) {
      const bool is_ours = name.starts_with(options.prefix);
      auto taken = is_ours ? take(std::string(name.substr(options.prefix.size())), view)
                           : Result<bool>(false);
      if (!taken) return fail(std::move(taken).error());
      if (!*taken) report.unexpected.emplace_back(name);
    }
    for (const auto& alias : files->aliases()) {
      const auto kept = files->find(alias.kept);
      if (!kept || !alias.removed.starts_with(options.prefix)) continue;
      auto taken = take(std::string(alias.removed.substr(options.prefix.size())), *kept);
      if (!taken) return fail(std::move(taken).error());
    }
    for (const auto& [name, tensor] : tensors) {
      if (fillings.contains(name)) continue;
      if (tensor.has_storage() && filled.contains(tensor.storage().unsafeGetStorageImpl()))
        continue;
      report.missing.push_back(name);
    }
    if (options.strict) {
      if (auto ok = detail::check_names(report); !ok) return fail(std::move(ok).error());
    }
    const ::torch::NoGradGuard no_grad;
    for (auto& [name, filling] : fillings) {
      auto& [tensor, view] = filling;
      auto values = to_tensor(view);
      if (!values) return std::move(values).error();
      tensor.copy_(*values);
    }
    report.tensors = fillings.size();
    return report;
  });
}

}  // namespace ferrule::libtorch
