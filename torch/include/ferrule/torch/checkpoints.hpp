// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/optim/optimizer.h>
#include <torch/serialize/input-archive.h>
#include <torch/serialize/output-archive.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/step_folders.hpp"
#include "ferrule/text_file.hpp"
#include "ferrule/torch/editing.hpp"
#include "ferrule/torch/load.hpp"
#include "ferrule/torch/save.hpp"

namespace ferrule::libtorch {

struct CheckpointOptions {
  /// The number of steps done: the folder is `checkpoint-STEP`.
  std::uint64_t step = 0;
  /// Removes all but so many of the newest checkpoints once this one is complete; 0 keeps all.
  std::uint64_t keep = 0;
  SaveOptions save = {};
};

/// What resume_checkpoint() restored.
struct ResumeReport {
  std::filesystem::path checkpoint;
  std::uint64_t step = 0;
  /// Tensors of the adapters.
  std::uint64_t tensors = 0;
};

namespace detail {

inline constexpr const char* kTrainingState = "training_state.pt";

inline Error no_checkpoint(ErrorCode code, const std::filesystem::path& path, std::string message) {
  auto error = refuse(code, "LT-18", std::move(message));
  error.path = path.string();
  return error;
}

inline std::string bytes_of_archive(::torch::serialize::OutputArchive& archive) {
  std::string bytes;
  archive.save_to([&bytes](const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return size;
  });
  return bytes;
}

/// The state of the generators that training draws from: the CPU's, and each GPU's.
inline std::vector<std::pair<std::string, at::Generator>> generators() {
  std::vector<std::pair<std::string, at::Generator>> all;
  all.emplace_back("rng_cpu", at::globalContext().defaultGenerator(at::Device(at::kCPU)));
  const int gpus = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  for (int i = 0; i < gpus; ++i) {
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(i));
    all.emplace_back("rng_cuda_" + std::to_string(i), at::globalContext().defaultGenerator(device));
  }
  return all;
}

inline std::size_t parameters_of(const ::torch::optim::Optimizer& optimizer) {
  std::size_t count = 0;
  for (const auto& group : optimizer.param_groups()) count += group.params().size();
  return count;
}

/// Where all parameters of an optimizer are; nullopt if they are on several devices.
inline std::optional<at::Device> device_of(const ::torch::optim::Optimizer& optimizer) {
  std::optional<at::Device> device;
  for (const auto& group : optimizer.param_groups()) {
    for (const auto& parameter : group.params()) {
      if (device && *device != parameter.device()) return std::nullopt;
      device = parameter.device();
    }
  }
  return device;
}

inline std::string training_state(const ::torch::optim::Optimizer& optimizer,
                                  const std::vector<std::string>& adapters, std::uint64_t step) {
  ::torch::serialize::OutputArchive archive;
  archive.write("format", c10::IValue(std::int64_t{1}));
  archive.write("step", c10::IValue(static_cast<std::int64_t>(step)));
  archive.write("adapters", c10::IValue(static_cast<std::int64_t>(adapters.size())));
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    archive.write("adapter_" + std::to_string(i), c10::IValue(adapters[i]));
  }
  archive.write("parameters", c10::IValue(static_cast<std::int64_t>(parameters_of(optimizer))));
  for (auto& [name, generator] : generators()) archive.write(name, generator.get_state(), true);
  ::torch::serialize::OutputArchive state;
  optimizer.save(state);
  archive.write("optimizer", state);
  return bytes_of_archive(archive);
}

/// Puts a state into an optimizer; the optimizer is as it was if that fails.
inline Result<void> restore_optimizer(::torch::serialize::InputArchive& archive,
                                      ::torch::optim::Optimizer& optimizer) {
  ::torch::serialize::OutputArchive before;
  optimizer.save(before);
  const auto bytes = bytes_of_archive(before);
  try {
    ::torch::serialize::InputArchive state;
    archive.read("optimizer", state);
    optimizer.load(state);
    return {};
  } catch (const std::exception& error) {
    ::torch::serialize::InputArchive old;
    old.load_from(bytes.data(), bytes.size());
    optimizer.load(old);
    std::string text = error.what();
    return refuse(ErrorCode::kInvalidArgument, "LT-18",
                  "the optimizer does not take the checkpoint's state: " +
                      printable(text.substr(0, text.find('\n')), 300));
  }
}

/// Where the tensors of an adapter that the model has go.
inline Plan plan_of(const Places& places, const std::string& name,
                    const std::shared_ptr<const AdapterConfig>& config) {
  Plan plan;
  plan.name = name;
  plan.config = config;
  for (const auto& place : places) {
    if (place.adaptable == nullptr) continue;
    const auto& copies = AdaptableAccess(*place.adaptable).copies();
    if (const auto copy = copies.find(name); copy != copies.end()) {
      plan.copies.push_back({place.path, place.adaptable, copy->second});
    }
  }
  return plan;
}

inline Result<std::vector<Filling>> match_existing(const Adapter& adapter, const Places& places,
                                                   const Adapters& adapters,
                                                   const std::string& name) {
  const auto plan = plan_of(places, name, adapters.configs.find(name)->second);
  Destinations destinations(plan, places);
  for (const auto& place : places) {
    if (place.adaptable == nullptr) continue;
    if (auto* update = AdaptableAccess(*place.adaptable).find(name)) {
      destinations.add_update(place.path, *update, plan);
    }
  }
  return match(adapter, plan, destinations, places);
}

}  // namespace detail

/// The newest complete checkpoint of a folder, or nullopt. One that a crash left unfinished has
/// another name, and does not count.
inline std::optional<std::filesystem::path> latest_checkpoint(
    const std::filesystem::path& directory) {
  const auto all = step_folders(directory, detail::kTrainingState);
  return !all || all->empty() ? std::nullopt : std::optional(all->back().directory);
}

/// Writes `directory/checkpoint-STEP` as one transaction: the adapters as save_pretrained() does
/// (PEFT loads the folder), and training_state.pt with the optimizer's state, the step and the
/// state of the random generators. The folder appears whole or not at all, whenever the process
/// dies. An untrained adapter is saved, too. What neither the adapters nor the optimizer hold (a
/// scheduler, the position in the data) is the caller's; a file of one's own can be put into the
/// folder afterwards.
///
/// Fails as save_pretrained(), or with kInvalidArgument if the folder exists (PB-4).
inline Result<std::filesystem::path> save_checkpoint(const ModelRef& model,
                                                     const ::torch::optim::Optimizer& optimizer,
                                                     const std::filesystem::path& directory,
                                                     const CheckpointOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<std::filesystem::path> {
    auto folder = StepFolderWriter::begin(directory, options.step);
    if (!folder) return std::move(folder).error();
    auto saved = save_pretrained(model, folder->path(), options.save, Untrained::kSave);
    if (!saved) return std::move(saved).error();
    std::vector<std::string> adapters;
    for (const auto& adapter : saved->adapters) adapters.push_back(adapter.name);
    auto written = write_text_file(folder->path() / detail::kTrainingState,
                                   detail::training_state(optimizer, adapters, options.step),
                                   options.save.durability);
    if (!written) return std::move(written).error();
    return folder->commit(detail::kTrainingState, options.keep, options.save.durability);
  });
}

/// Restores what save_checkpoint() wrote: the adapters' values (and the biases of the base that
/// they train), the optimizer's state, and the random generators, so that training goes on bit for
/// bit as it would have. `directory` is a checkpoint, or a folder of which the newest is taken.
/// Build the model, its adapters (with add_adapter) and the optimizer as at the first start; then
/// call this.
///
/// Checks everything before it changes anything. Fails with kNotFound if there is no checkpoint,
/// kInvalidArgument (LT-5, LT-9, LT-18) if it is of another model or optimizer, or as
/// Adapter::open().
inline Result<ResumeReport> resume_checkpoint(const ModelRef& model,
                                              ::torch::optim::Optimizer& optimizer,
                                              const std::filesystem::path& directory) {
  return detail::guarded(model, [&]() -> Result<ResumeReport> {
    const auto newest = latest_checkpoint(directory);
    const auto folder = newest ? *newest : directory;
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    auto bytes = read_text_file(folder / detail::kTrainingState, std::uint64_t{1} << 40);
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) {
      return detail::no_checkpoint(ErrorCode::kNotFound, directory, "there is no checkpoint");
    }
    if (!bytes) return std::move(bytes).error();
    ::torch::serialize::InputArchive archive;
    // The optimizer does not move its state to where the parameters are now.
    archive.load_from(bytes->data(), bytes->size(), detail::device_of(optimizer));
    const auto number = [&archive](const char* key) {
      c10::IValue value;
      archive.read(key, value);
      return value.toInt();
    };
    if (number("parameters") != static_cast<std::int64_t>(detail::parameters_of(optimizer))) {
      return detail::no_checkpoint(
          ErrorCode::kInvalidArgument, folder,
          "the optimizer has " + std::to_string(detail::parameters_of(optimizer)) +
              " parameters, that of the checkpoint had " + std::to_string(number("parameters")));
    }
    ResumeReport report{.checkpoint = folder, .step = static_cast<std::uint64_t>(number("step"))};
    std::vector<detail::Filling> fillings;
    for (std::int64_t i = 0; i < number("adapters"); ++i) {
      c10::IValue value;
      archive.read("adapter_" + std::to_string(i), value);
      const auto name = value.toStringRef();
      if (auto known = detail::check_known(adapters, {name}); !known) {
        return std::move(known).error();
      }
      const auto adapter = Adapter::open(name == "default" ? folder : folder / name);
      if (!adapter) return adapter.error();
      auto matched = detail::match_existing(*adapter, places, adapters, name);
      if (!matched) return std::move(matched).error();
      report.tensors += adapter->tensors().size();
      fillings.insert(fillings.end(), matched->begin(), matched->end());
    }
    std::vector<std::pair<at::Generator, at::Tensor>> states;
    for (auto& [name, generator] : detail::generators()) {
      at::Tensor state;
      if (archive.try_read(name, state, true)) states.emplace_back(generator, state);
    }
    if (auto restored = detail::restore_optimizer(archive, optimizer); !restored) {
      return std::move(restored).error();
    }
    const ::torch::NoGradGuard no_grad;
    for (auto& filling : fillings) filling.to.copy_(filling.from);
    for (auto& [generator, state] : states) generator.set_state(state.to(at::kCPU));
    return report;
  });
}

}  // namespace ferrule::libtorch
