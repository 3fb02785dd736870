// SPDX-License-Identifier: Apache-2.0
// The C++ side of differential.py: torch_driver JOB.json, which lists cases. Each case writes what
// it saw into FOLDER/CASE.safetensors.
#include <ATen/Context.h>
#include <torch/optim/sgd.h>

#include <deque>
#include <filesystem>
#include <iostream>

#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text_file.hpp"
#include "net.hpp"

// A program may do this, and torch:: is LibTorch's all the same.
using namespace ferrule;  // NOLINT(google-build-using-namespace)
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
  at::Device device;
  at::Tensor words;
  fs::path base;
};

/// The base's weights, in the dtype of the case and on the device of the job.
void load_base(Net& net, const Job& job, const ferrule::Json& one) {
  must(ft::load_state_dict(net, job.base));
  const auto dtype = text(one, "dtype", "F32");
  if (dtype == "BF16") net.to(at::kBFloat16);
  if (dtype == "F16") net.to(at::kHalf);
  if (dtype == "F64") net.to(at::kDouble);
  net.to(job.device);
  // A module's to() makes tensors of their own of tied weights.
  if (text(one, "net") == "tied") net.head->weight.set_data(net.embed->weight.data());
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

/// Writes to what is trained in one of the ways that optimizers and programs have.
void change_what_is_trained(Net& net, const std::string& way) {
  std::vector<at::Tensor> trained;
  for (auto& parameter : net.parameters()) {
    if (parameter.requires_grad()) trained.push_back(parameter);
  }
  torch::optim::SGD optimizer(trained, 0.2);
  const torch::NoGradGuard no_grad;
  for (auto& parameter : trained) {
    const auto change = at::randn(parameter.sizes()).to(parameter.options());
    if (way == "sgd") {
      parameter.mutable_grad() = change;
    } else if (way == "data") {
      parameter.data().sub_(change * 0.2);
    } else if (way == "set_data") {
      parameter.set_data(parameter + change * 0.2);
    } else {
      parameter.add_(change * 0.2);
    }
  }
  if (way == "sgd") optimizer.step();
  optimizer.zero_grad();
}

/// Adds adapters up, deletes one, and makes the model plain.
void edit_case(const ferrule::Json& one, const Job& job, const std::vector<std::string>& names,
               Net& net, Dump& dump) {
  const torch::NoGradGuard no_grad;
  const auto sum = text(one, "sum");
  if (!sum.empty()) {
    const auto type = sum == "cat"   ? ft::CombinationType::kCat
                      : sum == "svd" ? ft::CombinationType::kSvd
                                     : ft::CombinationType::kLinear;
    must(ft::add_weighted_adapter(net, names, {0.75, -0.5}, "sum", {.combination_type = type}));
    must(ft::set_adapter(net, "sum"));
    dump.add("sum_logits", net.forward(job.words));
    if (sum != "svd") dump.add_parameters("sum.", net);
    must(ft::delete_adapter(net, "sum"));
    must(ft::set_adapter(net, names));
  }
  if (names.size() == 2) {
    must(ft::delete_adapter(net, names[0]));
    torch::manual_seed(7);
    dump.add("deleted_logits", net.forward(job.words));
    dump.add_parameters("deleted.", net);
  }
  if (one.find("merges") == nullptr || !*one.find("merges")->if_bool()) return;
  must(ft::merge_and_unload(net));
  dump.add_parameters("unloaded.", net);
  dump.add("unloaded_logits", net.forward(job.words));
}

void train_case(const ferrule::Json& one, const Job& job, Dump& dump) {
  Net net(text(one, "net"));
  load_base(net, job, one);
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
    change_what_is_trained(net, text(one, "way"));
  }
  must(ft::set_adapter(net, names));
  if (const auto* scale = one.find("scale"); scale != nullptr && scale->number()) {
    for (const auto& name : names) must(ft::set_scale(net, name, *scale->number()));
  }
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
    must(ft::unmerge_adapter(net));
  }
  edit_case(one, job, names, net, dump);
}

void load_case(const ferrule::Json& one, const Job& job, Dump& dump) {
  Net net(text(one, "net"));
  load_base(net, job, one);
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

/// A model of nothing but these linear layers.
std::shared_ptr<torch::nn::Module> tree_of(const ferrule::Json::Array& paths) {
  auto root = std::make_shared<ft::detail::Box>();
  for (const auto& one : paths) {
    std::string_view path = *one.if_string();
    torch::nn::Module* parent = root.get();
    for (auto dot = path.find('.'); dot != path.npos; dot = path.find('.')) {
      parent = &ft::detail::Box::in(*parent, std::string(path.substr(0, dot)));
      path.remove_prefix(dot + 1);
    }
    parent->register_module(std::string(path), ft::Linear(2, 2));
  }
  return root;
}

/// Prints which modules of a tree a config targets, and what is reported of it.
void list_targets(const ferrule::Json& job) {
  for (const auto& one : *job.find("cases")->if_array()) {
    const auto config = must(ferrule::AdapterConfig::parse(text(one, "config")));
    const auto added = must(ft::add_adapter(tree_of(*one.find("linears")->if_array()), config));
    ferrule::Json::Array findings;
    for (const auto& finding : added.findings) {
      findings.push_back(finding.rule + " " + finding.message);
    }
    ferrule::Json line;
    line.set("modules", ferrule::Json::Array(added.modules.begin(), added.modules.end()));
    line.set("findings", std::move(findings));
    std::cout << line.dump() << "\n";
  }
}

}  // namespace

int main(int, char** argv) {
  at::set_num_threads(1);
  const auto job_json = must(ferrule::Json::parse(must(ferrule::read_text_file(argv[1]))));
  if (text(job_json, "mode") == "targets") {
    list_targets(job_json);
    return 0;
  }
  const fs::path folder = text(job_json, "folder");
  const auto words = must(ferrule::SafetensorsFile::open(folder / "words"));
  const at::Device device(text(job_json, "device", "cpu"));
  // Both sides: whole products, and kernels that give the same sums each time.
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  const Job job{.folder = folder,
                .device = device,
                .words = must(ft::to_tensor(words.find("words").value())).to(device),
                .base = text(job_json, "base")};
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
