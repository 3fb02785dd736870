# SPDX-License-Identifier: Apache-2.0
"""Puts the C++ of docs/libtorch.md into a program that runs it.

    snippets.py DOCUMENT PROGRAM.cpp
"""

import pathlib
import re
import sys

MAIN = """
#include <cstdio>
#include <filesystem>

#include <ferrule/safetensors_writer.hpp>

int main() {
  torch::manual_seed(1);
  Model model;
  Model other;
  {
    const torch::NoGradGuard no_grad;
    for (auto& entry : model.named_parameters()) other.named_parameters()[entry.key()].copy_(entry.value());
  }
  const auto words = at::arange(24).view({2, 12});
  const auto before = model.forward(words).detach();
  if (!std::filesystem::exists("base-model")) {
    std::filesystem::create_directory("base-model");
    std::vector<ferrule::NamedTensor> views;
    std::vector<std::vector<std::uint64_t>> shapes;
    for (const auto& entry : model.named_parameters()) {
      shapes.emplace_back(entry.value().sizes().begin(), entry.value().sizes().end());
    }
    std::size_t i = 0;
    for (const auto& entry : model.named_parameters()) {
      const auto& tensor = entry.value();
      views.push_back({entry.key(), ferrule::TensorView::make(ferrule::Dtype::kF32, shapes[i++],
                                                              {static_cast<const std::byte*>(tensor.data_ptr()),
                                                               tensor.nbytes()}).value()});
    }
    if (!ferrule::write_safetensors("base-model/model.safetensors", views)) return 4;
  }
  for (int run = 0; run < 2; ++run) {
    Model fresh;
    const auto done = train_with_checkpoints(fresh, words, words + 1);
    if (!done) std::puts(done.error().to_string().c_str());
    if (!done || !std::filesystem::exists("run/checkpoint-20/training_state.pt")) return 5;
  }
  const auto trained = train_and_save(model, words, words + 1);
  if (!trained) std::puts(trained.error().to_string().c_str());
  const auto used = load_and_use(other, words);
  if (!used) std::puts(used.error().to_string().c_str());
  if (!trained || !used) return 1;
  if (at::allclose(model.forward(words), before)) return 2;
  // Taken out of the weights again, to rounding.
  return at::allclose(other.forward(words), before, 1e-4, 1e-5) ? 0 : 3;
}
"""


def main(document: str, program: str) -> int:
    blocks = re.findall(r"```cpp\n(.*?)```", pathlib.Path(document).read_text(encoding="utf-8"), re.DOTALL)
    if len(blocks) < 4:
        print(f"{document} has {len(blocks)} blocks of C++: too few to be true")
        return 1
    pathlib.Path(program).write_text("\n".join(blocks) + MAIN, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
