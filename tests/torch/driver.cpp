// SPDX-License-Identifier: Apache-2.0
// The C++ side of differential.py: torch_driver JOB.json, which lists cases. Each case writes what
// it saw into FOLDER/CASE.safetensors.
#include <ATen/Context.h>

#include <deque>
#include <filesystem>
#include <iostream>

#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text_file.hpp"
#include "net.hpp"

namespace ft = ferrule::torch;
namespace fs = std::filesystem;

namespace {

/// Ends the program with what went wrong: the caller prints it.
template <typename T>
T must(ferrule::Result<T> result) {
  if (!result) {
    std::cerr << result.error().to_string() << "\n";
    std::exit(2);
  }
  return std::move(result).value();
}
void must(ferrule::Result<void> result) {
  if (result) return;
  std::cerr << result.error().to_string() << "\n";
  std::exit(2);
}

/// Tensors under names, written as one file.
class Dump {
 public:
  void add(std::string name, const at::Tensor& tensor) {
    entries_.push_back({std::move(name), ft::detail::to_host(tensor.clone()), {}});
    entries_.back().shape = ft::detail::shape_of(entries_.back().tensor);
  }
  void add_parameters(const std::string& prefix, const torch::nn::Module& module) {
    for (const auto& entry : module.named_parameters()) add(prefix + entry.key(), entry.value());
  }
  void write(const fs::path& path) const {
    std::vector<ferrule::NamedTensor> views;
    for (const auto& entry : entries_) {
      views.push_back(
          {entry.name, ferrule::TensorView::make(*ft::to_dtype(entry.tensor.scalar_type()),
                                                 entry.shape, ft::detail::bytes_of(entry.tensor))
                           .value()});
    }
    must(ferrule::write_safetensors(path, views));
  }

 private:
  struct Entry {
    std::string name;
    at::Tensor tensor;
    std::vector<std::uint64_t> shape;
  };
  std::deque<Entry> entries_;
};

std::string text(const ferrule::Json& object, const char* key, const char* otherwise = "") {
  const auto* value = object.find(key);
  return value == nullptr ? otherwise : *value->if_string();
}

struct Job {
  fs::path folder;
  at::Tensor words;
  const ferrule::SafetensorsFile* base;
};

void load_base(Net& net, const Job& job) {
  const torch::NoGradGuard no_grad;
  for (auto& entry : net.named_parameters()) {
    entry.value().copy_(must(ft::detail::to_tensor(job.base->find(entry.key()).value())));
  }
}

void set_dtype(Net& net, const ferrule::Json& one) {
  const auto dtype = text(one, "dtype", "F32");
  if (dtype == "BF16") net.to(at::kBFloat16);
  if (dtype == "F16") net.to(at::kHalf);
  if (dtype == "F64") net.to(at::kDouble);
}

/// Forward and backward with one seed, so that drop-outs draw alike.
void run(Net& net, const Job& job, Dump& dump) {
  torch::manual_seed(7);
  const auto logits = net.forward(job.words);
  dump.add("logits", logits);
  if (!logits.requires_grad()) return;
  logits.to(at::kFloat).square().mean().backward();
  for (const auto& entry : net.named_parameters()) {
    const auto& gradient = entry.value().grad();
    if (gradient.defined()) dump.add("grad." + entry.key(), gradient);
  }
}

void change_what_is_trained(Net& net) {
  const torch::NoGradGuard no_grad;
  for (auto& entry : net.named_parameters()) {
    auto& parameter = entry.value();
    if (parameter.requires_grad()) parameter.add_(at::randn(parameter.sizes()) * 0.2);
  }
}

void train_case(const ferrule::Json& one, const Job& job, Dump& dump) {
  Net net;
  load_base(net, job);
  set_dtype(net, one);
  torch::manual_seed(5);
  std::vector<std::string> names;
  for (const auto& adapter : *one.find("adapters")->if_array()) {
    const auto config = must(ferrule::AdapterConfig::parse(text(adapter, "config")));
    names.push_back(text(adapter, "name"));
    must(ft::add_adapter(net, config, names.back()));
  }
  dump.add_parameters("init.", net);
  for (const auto& name : names) {
    must(ft::set_adapter(net, name));
    change_what_is_trained(net);
  }
  must(ft::set_adapter(net, names));
  must(ft::save_pretrained(net, job.folder / (text(one, "name") + ".ours")));
  run(net, job, dump);
  must(ft::disable_adapter(net));
  dump.add("disabled", net.forward(job.words));
  must(ft::enable_adapter(net));
  if (one.find("merges") != nullptr && *one.find("merges")->if_bool()) {
    const torch::NoGradGuard no_grad;
    must(ft::merge_adapter(net));
    dump.add_parameters("merged.", net);
    dump.add("merged_logits", net.forward(job.words));
    must(ft::unmerge_adapter(net));
    dump.add_parameters("unmerged.", net);
    must(ft::merge_adapter(net, {.safe_merge = true}));
    dump.add_parameters("safe.", net);
  }
}

void load_case(const ferrule::Json& one, const Job& job, Dump& dump) {
  Net net;
  load_base(net, job);
  set_dtype(net, one);
  torch::manual_seed(5);  // PiSSA with iterations draws again.
  std::vector<std::string> names;
  for (const auto& adapter : *one.find("adapters")->if_array()) {
    names.push_back(text(adapter, "name"));
    auto folder = job.folder / (text(one, "name") + ".theirs");
    if (names.back() != "default") folder /= names.back();
    const auto loaded = must(
        ft::from_pretrained(net, folder, {.adapter_name = names.back(), .is_trainable = true}));
    dump.add("tensors." + names.back(), at::scalar_tensor(static_cast<double>(loaded.tensors)));
  }
  must(ft::set_adapter(net, names));
  dump.add_parameters("loaded.", net);
  run(net, job, dump);
}

}  // namespace

int main(int, char** argv) {
  at::set_num_threads(1);
  const auto job_json = must(ferrule::Json::parse(must(ferrule::read_text_file(argv[1]))));
  const auto base = must(ferrule::SafetensorsFile::open(text(job_json, "base")));
  const Job job{.folder = text(job_json, "folder"),
                .words = must(ft::detail::to_tensor(base.find("words").value())),
                .base = &base};
  const bool loads = text(job_json, "mode") == "load";
  for (const auto& one : *job_json.find("cases")->if_array()) {
    std::cerr << text(one, "name") << ": ";
    Dump dump;
    (loads ? load_case : train_case)(one, job, dump);
    dump.write(job.folder / (text(one, "name") + (loads ? ".loaded" : ".trained")));
    std::cerr << "done\n";
  }
  return 0;
}
