// SPDX-License-Identifier: Apache-2.0
// finetune train TEXT FOLDER    trains an adapter and saves it as FOLDER/adapter
// finetune load ADAPTER FOLDER  loads one onto the base that `train` left in FOLDER
// Both leave the model's answers to a prompt in FOLDER/logits.safetensors.
#include <torch/optim/adamw.h>

#include <cstdio>
#include <filesystem>
#include <vector>

#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text_file.hpp"
#include "model.hpp"

namespace {

namespace fs = std::filesystem;
using ferrule::Result;

/// Tensors of a module, by name, as a safetensors file.
Result<void> write(const fs::path& path,
                   const torch::OrderedDict<std::string, at::Tensor>& tensors) {
  std::vector<std::vector<std::uint64_t>> shapes;
  std::vector<ferrule::NamedTensor> views;
  shapes.reserve(tensors.size());
  for (const auto& entry : tensors) {
    const auto& tensor = entry.value();
    shapes.emplace_back(tensor.sizes().begin(), tensor.sizes().end());
    const auto view = ferrule::TensorView::make(
        ferrule::Dtype::kF32, shapes.back(),
        {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()});
    if (!view) return view.error();
    views.push_back({entry.key(), *view});
  }
  return ferrule::write_safetensors(path, views);
}

/// Some steps on random pieces of the text; prints and returns the mean loss of the last ten.
double train(LanguageModel& model, const at::Tensor& text, int steps, double rate) {
  torch::optim::AdamW optimizer(ferrule::torch::trainable_parameters(model),
                                torch::optim::AdamWOptions(rate));
  double sum = 0;
  for (int step = 1; step <= steps; ++step) {
    std::vector<at::Tensor> pieces;
    const auto starts = at::randint(text.size(0) - LanguageModel::kContext - 1, {16});
    for (std::int64_t i = 0; i < starts.size(0); ++i) {
      const auto start = starts[i].item<std::int64_t>();
      pieces.push_back(text.slice(0, start, start + LanguageModel::kContext + 1));
    }
    const auto batch = at::stack(pieces);
    const auto logits = model.forward(batch.slice(1, 0, -1));
    auto loss = at::cross_entropy_loss(logits.flatten(0, 1), batch.slice(1, 1).flatten());
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    sum += loss.item<double>();
    if (step % 10 != 0) continue;
    std::printf("step %3d  loss %.4f\n", step, sum / 10);
    if (step != steps) sum = 0;
  }
  return sum / 10;
}

Result<void> write_answers(LanguageModel& model, const fs::path& folder) {
  model.eval();
  const torch::NoGradGuard no_grad;
  const auto prompt = LanguageModel::encode("the smith looks through the ring").unsqueeze(0);
  torch::OrderedDict<std::string, at::Tensor> answers;
  answers.insert("logits", model.forward(prompt).contiguous());
  return write(folder / "logits.safetensors", answers);
}

Result<void> run_train(const fs::path& text_file, const fs::path& folder) {
  const auto text = ferrule::read_text_file(text_file);
  if (!text) return text.error();
  const auto numbers = LanguageModel::encode(*text);
  torch::manual_seed(1);
  LanguageModel model;
  std::puts("the base, on the first third of the text:");
  train(model, numbers.slice(0, 0, numbers.size(0) / 3), 60, 3e-3);
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  if (auto written = write(folder / "base.safetensors", model.named_parameters()); !written) {
    return written;
  }

  const auto config = ferrule::AdapterConfig::parse(R"({
      "peft_type": "LORA", "r": 8, "lora_alpha": 16, "lora_dropout": 0.05, "use_rslora": true,
      "target_modules": ["embed", "q_proj", "v_proj", "up", "down"]})");
  if (!config) return config.error();
  const auto added = ferrule::torch::add_adapter(model, *config);
  if (!added) return added.error();
  std::printf("an adapter of %llu numbers on %zu modules, on the rest:\n",
              static_cast<unsigned long long>(added->parameters), added->modules.size());
  train(model, numbers.slice(0, numbers.size(0) / 3), 100, 1e-2);

  const auto saved = ferrule::torch::save_pretrained(model, folder / "adapter");
  if (!saved) return saved.error();
  std::printf("saved as %s\n", (folder / "adapter").c_str());
  return write_answers(model, folder);
}

Result<void> run_load(const fs::path& adapter, const fs::path& folder) {
  LanguageModel model;
  const auto base = ferrule::torch::load_state_dict(model, folder / "base.safetensors");
  if (!base) return base.error();
  const auto loaded = ferrule::torch::from_pretrained(model, adapter);
  if (!loaded) return loaded.error();
  std::printf("loaded %llu tensors\n", static_cast<unsigned long long>(loaded->tensors));
  return write_answers(model, folder);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view command = argc == 4 ? argv[1] : "";
  if (command != "train" && command != "load") {
    std::fputs("usage: finetune train TEXT FOLDER\n       finetune load ADAPTER FOLDER\n", stderr);
    return 2;
  }
  const auto done = command == "train" ? run_train(argv[2], argv[3]) : run_load(argv[2], argv[3]);
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
  return 1;
}
