// SPDX-License-Identifier: Apache-2.0
#include "merge/output_plan.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/numbers.hpp"

namespace ferrule::merging {
namespace {

Result<OutputTensor> output_tensor(const std::string& name, const DiskTensor& source,
                                   const TensorPlan* plan, std::optional<Dtype> dtype) {
  if (plan != nullptr && !has_numbers(source.dtype())) {
    return base::unsupported("MG-6", "the base's weight " + quote(name) + " is of dtype " +
                                         std::string(dtype_name(source.dtype())) +
                                         ", which nothing can be added to: write the base in 16 "
                                         "bits first, and merge into that");
  }
  const bool converts = dtype && has_numbers(source.dtype());
  return OutputTensor{
      .name = name, .dtype = converts ? *dtype : source.dtype(), .source = &source, .plan = plan};
}

/// The file of each tensor.
std::map<std::string, std::string> names_of(const OutputPlan& out) {
  std::map<std::string, std::string> names;
  for (const auto& shard : out.shards) {
    for (const auto& tensor : shard.tensors) names.emplace(tensor.name, shard.file->name);
  }
  return names;
}

}  // namespace

std::optional<Dtype> dtype_of(MergeDtype dtype) {
  switch (dtype) {
    case MergeDtype::kF32:
      return Dtype::kF32;
    case MergeDtype::kBF16:
      return Dtype::kBF16;
    case MergeDtype::kF16:
      return Dtype::kF16;
    case MergeDtype::kKeep:
      break;
  }
  return std::nullopt;
}

Result<OutputPlan> plan_output(const BaseFiles& files, const MergePlan& plan,
                               const Json& /*config*/, MergeDtype wanted) {
  OutputPlan out;
  const auto dtype = dtype_of(wanted);
  for (const auto& file : files.weights()) {
    OutputShard shard{.file = &file, .tensors = {}};
    shard.unchanged = !file.dequantized;
    shard.new_header = file.dequantized;
    out.config.unquantizes = out.config.unquantizes || file.dequantized;
    for (const auto place : file.tensors) {
      const auto& source = files.tensors()[place];
      const auto found = plan.changed.find(&source);
      const auto* own = found == plan.changed.end() ? nullptr : &found->second;
      FERRULE_TRY(auto tensor, output_tensor(source.name, source, own, dtype));
      shard.new_header = shard.new_header || tensor.dtype != source.dtype();
      shard.unchanged = shard.unchanged && own == nullptr && tensor.dtype == source.dtype();
      shard.tensors.push_back(std::move(tensor));
    }
    out.shards.push_back(std::move(shard));
  }
  std::map<std::string, std::string> added;
  for (const auto& tensor : plan.added) {
    auto& shard = out.shards[tensor.source->file];
    FERRULE_TRY(auto made, output_tensor(tensor.name, *tensor.source, &tensor, dtype));
    shard.tensors.push_back(std::move(made));
    shard.new_header = true;
    shard.unchanged = false;
    added.emplace(tensor.name, shard.file->name);
  }
  const bool new_sizes = std::any_of(out.shards.begin(), out.shards.end(),
                                     [](const OutputShard& shard) { return shard.new_header; });
  if (new_sizes && !files.index_name().empty()) {
    std::uint64_t total = 0;
    for (const auto& shard : out.shards) total += shard.data_bytes();
    if (out.config.unquantizes) {
      FERRULE_TRY(out.index_text, new_index(files.index_text(), names_of(out), total));
    } else {
      FERRULE_TRY(out.index_text, changed_index(files.index_text(), added, total));
    }
  }
  out.config.dtype = dtype;
  out.config.unties = plan.unties;
  return out;
}

MergedFile describe(const OutputShard& shard) {
  MergedFile file{.name = shard.file->name, .bytes = shard.file->input.size()};
  for (const auto& tensor : shard.tensors) {
    if (tensor.plan == nullptr) continue;
    if (tensor.name == tensor.source->name) {
      file.changed.push_back(tensor.name);
    } else {
      file.added.push_back(tensor.name);
    }
  }
  std::sort(file.changed.begin(), file.changed.end());
  return file;
}

}  // namespace ferrule::merging
