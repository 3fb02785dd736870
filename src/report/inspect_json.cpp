// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "ferrule/report_json.hpp"
#include "report/shape_json.hpp"

namespace ferrule {
namespace {

/// null if there is no number, or one that JSON cannot hold.
template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

Json start(const char* kind, const std::filesystem::path& path) {
  Json json;
  json.set("kind", kind);
  json.set("path", path.string());
  return json;
}

Json::Object fields_of(Json json) { return std::move(*json.if_object()); }

void add_totals(Json& json, const TensorTotals& totals, std::uint64_t file_bytes) {
  Json::Object dtypes;
  for (const auto& [dtype, count] : totals.dtypes) {
    dtypes.emplace_back(std::string(dtype_name(dtype)), Json(count));
  }
  json.set("file_bytes", Json(file_bytes));
  json.set("tensor_count", Json(totals.tensors));
  json.set("parameters", Json(totals.parameters));
  json.set("tensor_bytes", Json(totals.bytes));
  json.set("dtypes", std::move(dtypes));
}

Json tensor_json(std::string_view name, Dtype dtype, std::span<const std::uint64_t> shape,
                 std::uint64_t bytes) {
  return Json::Object{{"name", name},
                      {"dtype", dtype_name(dtype)},
                      {"shape", reports::shape_json(shape)},
                      {"bytes", Json(bytes)}};
}

Json module_json(const AdapterModule& module) {
  Json::Array roles;
  for (const auto& tensor : module.tensors()) roles.emplace_back(tensor.role);
  const auto& resolved = module.resolved();
  return Json::Object{{"path", module.path()},
                      {"rank", or_null(resolved.rank)},
                      {"alpha", or_null(resolved.alpha)},
                      {"strength", or_null(resolved.strength)},
                      {"rule", resolved.rule},
                      {"roles", std::move(roles)}};
}

}  // namespace

Json::Object to_json(const AdapterSummary& adapter) {
  Json json;
  json.set("path", adapter.directory.string());
  json.set("good", adapter.good());
  json.set("peft_type", adapter.peft_type.empty() ? Json() : Json(adapter.peft_type));
  json.set("task_type", or_null(adapter.task_type));
  json.set("base_model_name_or_path", or_null(adapter.base_model));
  json.set("rank", or_null(adapter.rank));
  json.set("alpha", or_null(adapter.alpha));
  json.set("weights_file", adapter.weights_file.empty() ? Json() : Json(adapter.weights_file));
  add_totals(json, adapter.totals, adapter.file_bytes);
  json.set("findings", to_json(adapter.findings));
  json.set("error", adapter.system_error ? to_json(*adapter.system_error) : Json());
  return fields_of(std::move(json));
}

Json::Object to_json(const Adapter& adapter, bool tensors) {
  TensorTotals totals;
  for (const auto& tensor : adapter.tensors()) totals.add(tensor.tensor);
  const auto& config = adapter.config();
  auto json = start("adapter", adapter.directory());
  json.set("good", !has_error(adapter.findings()));
  json.set("peft_type", config.peft_type());
  json.set("task_type", or_null(config.task_type()));
  json.set("base_model_name_or_path", or_null(config.base_model_name_or_path()));
  json.set("rank", or_null(config.rank()));
  json.set("alpha", or_null(config.alpha()));
  json.set("weights_file", adapter.weights_file().filename().string());
  add_totals(json, totals, adapter.file_bytes());
  Json::Array modules;
  for (const auto& module : adapter.modules()) modules.push_back(module_json(module));
  json.set("modules", std::move(modules));
  json.set("findings", to_json(adapter.findings()));
  if (!tensors) return fields_of(std::move(json));
  Json::Array list;
  for (const auto& [key, role, leaf, tensor] : adapter.tensors()) {
    auto entry = tensor_json(key, tensor.dtype(), tensor.shape(), tensor.bytes().size());
    entry.set("role", role);
    list.push_back(std::move(entry));
  }
  json.set("tensors", std::move(list));
  return fields_of(std::move(json));
}

Json::Object to_json(const ContainerSummary& file, bool tensors) {
  auto json = start("file", file.files.empty() ? std::filesystem::path() : file.files.front());
  json.set("container", file.container);
  Json::Array files;
  for (const auto& path : file.files) files.emplace_back(path.string());
  json.set("files", std::move(files));
  add_totals(json, file.totals, file.file_bytes);
  Json::Object metadata;
  for (const auto& [key, value] : file.metadata) metadata.emplace_back(key, value);
  json.set("metadata", std::move(metadata));
  if (!tensors) return fields_of(std::move(json));
  Json::Array list;
  for (const auto& tensor : file.tensors) {
    list.push_back(tensor_json(tensor.name, tensor.dtype, tensor.shape, tensor.bytes));
  }
  json.set("tensors", std::move(list));
  return fields_of(std::move(json));
}

Json::Object to_json(const FolderSummary& folder, const std::filesystem::path& root) {
  auto json = start("folder", root);
  json.set("good", folder.bad() == 0 && folder.unreadable.empty());
  json.set("directories", Json(folder.directories));
  json.set("adapter_count", Json(folder.adapters.size()));
  json.set("bad_count", Json(folder.bad()));
  add_totals(json, folder.totals(), folder.file_bytes());
  Json::Array adapters;
  for (const auto& adapter : folder.adapters) adapters.push_back(to_json(adapter));
  json.set("adapters", std::move(adapters));
  Json::Array unreadable;
  for (const auto& error : folder.unreadable) unreadable.push_back(to_json(error));
  json.set("unreadable", std::move(unreadable));
  return fields_of(std::move(json));
}

}  // namespace ferrule
