// SPDX-License-Identifier: Apache-2.0
#include "container/checkpoint_folder.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "ferrule/text.hpp"

namespace ferrule::container {
namespace {

/// One format's names in a directory, in the order in which they count.
struct Naming {
  std::string_view index_suffix;
  std::string_view model;
  std::string_view model_index;
  std::string_view adapter;
  std::span<const std::string_view> suffixes;
};

constexpr std::string_view kSafetensorsSuffixes[] = {".safetensors"};
constexpr std::string_view kTorchSuffixes[] = {".bin", ".pt", ".pth"};
constexpr Naming kNamings[] = {
    {".safetensors.index.json", "model.safetensors", "model.safetensors.index.json",
     "adapter_model.safetensors", kSafetensorsSuffixes},
    {".bin.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin",
     kTorchSuffixes},
};

bool has_suffix(std::string_view name, std::span<const std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

/// The names of one format; empty if the folder has none of it.
std::vector<std::string> choose(const std::vector<std::string>& names, const Naming& naming) {
  const auto visible = [](const std::string& name) { return !name.starts_with('.'); };
  // As transformers looks for a model: the whole file, then the index of that name. An index of
  // another name next to it belongs to another form of the same weights.
  for (const auto& own : {std::string(naming.model), std::string(naming.model_index)}) {
    if (std::binary_search(names.begin(), names.end(), own)) return {own};
  }
  std::vector<std::string> chosen;
  for (const auto& name : names) {
    if (visible(name) && name.ends_with(naming.index_suffix)) chosen.push_back(name);
  }
  if (!chosen.empty()) return chosen;
  if (std::binary_search(names.begin(), names.end(), naming.adapter)) {
    return {std::string(naming.adapter)};
  }
  for (const auto& name : names) {
    if (has_suffix(name, naming.suffixes) && visible(name) && !is_training_state(name)) {
      chosen.push_back(name);
    }
  }
  return chosen;
}

bool has_name(std::span<const std::string> names, std::string_view wanted) {
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

const std::string* ending(std::span<const std::string> names, std::string_view tail) {
  const auto found = std::find_if(names.begin(), names.end(), [tail](const std::string& name) {
    return name.ends_with(tail) && !name.starts_with('.');
  });
  return found == names.end() ? nullptr : &*found;
}

const std::string* starting(std::span<const std::string> names, std::string_view head) {
  const auto found = std::find_if(names.begin(), names.end(), [head](const std::string& name) {
    return name.starts_with(head);
  });
  return found == names.end() ? nullptr : &*found;
}

/// The `checkpoint-N` with the largest N.
const std::string* last_checkpoint(std::span<const std::string> names) {
  constexpr std::string_view kHead = "checkpoint-";
  constexpr std::size_t kMaxDigits = 18;
  const std::string* last = nullptr;
  std::uint64_t step = 0;
  for (const auto& name : names) {
    if (!name.starts_with(kHead)) continue;
    const auto digits = std::string_view(name).substr(kHead.size());
    const bool number =
        !digits.empty() && digits.size() <= kMaxDigits &&
        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number) continue;
    std::uint64_t value = 0;
    for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
    if (last != nullptr && value < step) continue;
    last = &name;
    step = value;
  }
  return last;
}

constexpr const char* kConverts = "; `ferrule convert --to peft` makes a PEFT adapter of it";

constexpr std::string_view kDcp =
    "a distributed checkpoint of torch (DCP); `ferrule rescue FOLDER -o DIR` takes the adapter out "
    "of it, `python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE.pt` "
    "makes it one file";

}  // namespace

bool is_training_state(std::string_view name) noexcept {
  return name == "training_args.bin" || name == "optimizer.bin" || name == "optimizer.pt" ||
         name == "scheduler.bin" || name == "scheduler.pt" || name == "scaler.pt" ||
         name == "sampler.bin" || name == "random_states.pt" || name.starts_with("rng_state") ||
         name.starts_with("random_states_") || name.ends_with("_optim_states.pt");
}

FolderChoice choose_files(const std::vector<std::string>& names) {
  FolderChoice choice;
  for (const auto& naming : kNamings) {
    choice.chosen = choose(names, naming);
    if (choice.chosen.empty()) continue;
    // An index names its shards, which only their names tell from the other files there.
    if (choice.chosen.front().ends_with(naming.index_suffix)) return choice;
    break;
  }
  for (const auto& name : names) {
    const bool tensors = has_suffix(name, kSafetensorsSuffixes) || has_suffix(name, kTorchSuffixes);
    if (tensors && !name.starts_with('.') && !is_training_state(name) &&
        !has_name(choice.chosen, name)) {
      choice.beside.push_back(name);
    }
  }
  return choice;
}

std::string describe_folder(std::span<const std::string> names) {
  if (has_name(names, ".metadata") && ending(names, ".distcp") != nullptr) {
    return "it is " + std::string(kDcp);
  }
  if (const auto* inner = starting(names, "pytorch_model_fsdp_")) {
    return "its " + *inner + ", which Accelerate wrote, is " + std::string(kDcp);
  }
  if (starting(names, "global_step") != nullptr || ending(names, "_optim_states.pt") != nullptr ||
      has_name(names, "zero_to_fp32.py")) {
    return "it is a checkpoint of DeepSpeed (ZeRO); `ferrule rescue FOLDER -o DIR` takes the "
           "adapter out of it, `python zero_to_fp32.py . OUTPUT` in it writes the whole state dict";
  }
  if (const auto* last = last_checkpoint(names)) {
    return "it is the folder of a training run, and its last checkpoint is " + quote(*last);
  }
  if (has_name(names, "snapshots") && has_name(names, "refs")) {
    return "it is a folder of the Hugging Face cache; the files are in its folder snapshots";
  }
  if (const auto* file = ending(names, ".gguf")) {
    return "it has a GGUF file of llama.cpp, " + quote(*file) + kConverts;
  }
  if (const auto* file = ending(names, ".onnx_adapter")) {
    return "it has an adapter of ONNX Runtime, " + quote(*file) + kConverts;
  }
  if (const auto* file = ending(names, ".pth.lora")) {
    return "it has a LoRA of LitGPT, " + quote(*file) + kConverts;
  }
  if (const auto* file = ending(names, ".pdparams")) {
    return "it has weights of PaddlePaddle, " + quote(*file) +
           "; PaddleNLP loads them, PEFT does not" + kConverts;
  }
  if (const auto* file = ending(names, ".h5")) {
    return "it has weights of Keras, " + quote(*file);
  }
  if (const auto* file = ending(names, ".msgpack")) {
    return "it has weights of Flax, " + quote(*file);
  }
  if (const auto* file = ending(names, ".ckpt")) {
    return "it has a checkpoint of Lightning or NeMo, " + quote(*file) +
           "; `ferrule save FILE --key state_dict` reads one";
  }
  if (has_name(names, "trainer_state.json")) {
    return "it is a checkpoint of Trainer without weights";
  }
  return {};
}

}  // namespace ferrule::container
