// SPDX-License-Identifier: Apache-2.0
// rescue, assemble, publish and save_shard: ferrule/_rescue.py makes typed reports of their
// documents.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/assemble.hpp"
#include "ferrule/publish.hpp"
#include "ferrule/rescue.hpp"
#include "ferrule/rescue_json.hpp"
#include "ferrule/save_shard.hpp"
#include "ferrule/text.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "remote_path.hpp"
#include "tensors_in.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

PreferredWeights preferred_of(const std::string& value) {
  if (value == "auto") return PreferredWeights::kAuto;
  if (value == "master") return PreferredWeights::kMaster;
  if (value == "working") return PreferredWeights::kWorking;
  wrong_value("prefer", R"("auto", "master" or "working")", value);
}

nb::object rescue_document(nb::handle checkpoint, nb::handle output, nb::handle config,
                           nb::handle adapter, nb::handle prefer, nb::handle durability,
                           nb::handle tick) {
  const auto from = path_of(checkpoint, "checkpoint");
  const auto where = path_of(output, "output");
  RescueOptions options;
  if (!config.is_none()) options.config = path_of(config, "config");
  if (!adapter.is_none()) options.adapter = str_of(adapter, "adapter");
  options.prefer = preferred_of(str_of(prefer, "prefer"));
  options.durability = durability_of(str_of(durability, "durability"));
  const auto report =
      value_or_raise(long_write([&] { return rescue(from, where, options); }, tick));
  return document_of(to_json(report, where));
}

nb::object assemble_document(nb::handle directory, nb::handle output, nb::handle config,
                             nb::handle adapter, nb::handle durability, nb::handle tick) {
  const auto from = path_of(directory, "directory");
  const auto where = path_of(output, "output");
  AssembleOptions options;
  if (!config.is_none()) options.config = path_of(config, "config");
  if (!adapter.is_none()) options.adapter = str_of(adapter, "adapter");
  options.durability = durability_of(str_of(durability, "durability"));
  const auto report =
      value_or_raise(long_write([&] { return assemble(from, where, options); }, tick));
  return document_of(to_json(report, where));
}

nb::object publish_document(nb::handle adapter, nb::handle root, std::uint64_t keep,
                            nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(root, "root");
  const PublishOptions options{.keep = keep,
                               .durability = durability_of(str_of(durability, "durability"))};
  const auto report =
      value_or_raise(long_write([&] { return publish(from.path, where, options); }, tick));
  return document_of(to_json(report));
}

nb::object publish_tensors_document(const nb::dict& tensors, nb::handle root, nb::handle metadata,
                                    std::uint64_t keep, nb::handle durability, nb::handle tick) {
  const auto live = LiveTensors::of(tensors, "tensors");
  const auto where = path_of(root, "root");
  const auto pairs = metadata_of(metadata, "metadata");
  const PublishOptions options{.keep = keep,
                               .durability = durability_of(str_of(durability, "durability"))};
  const auto report = value_or_raise(
      long_write([&] { return publish_tensors(live->tensors(), where, pairs, options); }, tick));
  return document_of(to_json(report));
}

Dtype dtype_of(const std::string& name) {
  const auto dtype = dtype_from_name(name);
  if (!dtype) wrong_value("dtype", "a dtype of safetensors", name);
  return *dtype;
}

/// (index, key on disk) of the tensors that are the adapter's.
nb::list keys_of(nb::list tensors, const AdapterConfig& config, nb::handle adapter) {
  std::vector<ShardTensor> listed;
  for (const auto& item : tensors) {
    const auto tuple = nb::cast<nb::tuple>(item);
    listed.push_back({.name = str_of(tuple[0], "tensors"),
                      .dtype = dtype_of(str_of(tuple[1], "tensors")),
                      .shape = nb::cast<std::vector<std::uint64_t>>(tuple[2])});
  }
  const auto name = adapter.is_none() ? std::string() : str_of(adapter, "adapter_name");
  nb::list keys;
  for (const auto& key : value_or_raise(adapter_keys(listed, config, name))) {
    keys.append(nb::make_tuple(key.index, to_str(key.key)));
  }
  return keys;
}

/// `parts`: (key, dtype, global shape, is_flat, offset, sizes); `tensors` has the bytes of those of
/// which this rank has something.
nb::object shard_document(nb::list parts, nb::dict tensors, const AdapterConfig& config,
                          nb::handle directory, std::uint64_t rank, std::uint64_t world_size,
                          nb::handle run_id, std::optional<std::uint64_t> step,
                          nb::handle durability, nb::handle tick) {
  const auto where = path_of(directory, "directory");
  const auto live = LiveTensors::of(tensors, "tensors");
  std::vector<ShardTensor> listed;
  for (const auto& item : parts) {
    const auto tuple = nb::cast<nb::tuple>(item);
    ShardTensor tensor{.name = str_of(tuple[0], "parts"),
                       .dtype = dtype_of(str_of(tuple[1], "parts")),
                       .shape = nb::cast<std::vector<std::uint64_t>>(tuple[2])};
    tensor.kind = nb::cast<bool>(tuple[3]) ? ShardKind::kFlat : ShardKind::kBox;
    tensor.offset = nb::cast<std::vector<std::uint64_t>>(tuple[4]);
    tensor.sizes = nb::cast<std::vector<std::uint64_t>>(tuple[5]);
    if (const auto view = live->find(tensor.name)) tensor.bytes = view->bytes();
    listed.push_back(std::move(tensor));
  }
  SaveShardOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.run_id = str_of(run_id, "run_id");
  options.step = step;
  options.durability = durability_of(str_of(durability, "durability"));
  const auto report =
      value_or_raise(long_write([&] { return save_shard(listed, config, where, options); }, tick));
  return document_of(to_json(report));
}

/// Not movable where Python holds it.
struct Reader {
  std::unique_ptr<PublishedReader> reader;
  std::string root;
};

Reader open_reader(nb::handle root) {
  const auto where = path_of(root, "root");
  auto reader = value_or_raise(without_gil([&] { return PublishedReader::open(where); }));
  return {std::make_unique<PublishedReader>(std::move(reader)), where.native()};
}

nb::tuple current_of(Reader& self) {
  const auto now = value_or_raise(self.reader->current());
  return nb::make_tuple(now.number, to_path_str(now.directory));
}

}  // namespace

void bind_rescue(nb::module_& module) {
  module.def("rescue", &rescue_document, "checkpoint"_a.none(), "output"_a.none(),
             "config"_a.none(), "adapter"_a.none(), "prefer"_a.none(), "durability"_a.none(),
             "tick"_a.none());
  module.def("assemble", &assemble_document, "directory"_a.none(), "output"_a.none(),
             "config"_a.none(), "adapter"_a.none(), "durability"_a.none(), "tick"_a.none());
  module.def("publish", &publish_document, "adapter"_a.none(), "root"_a.none(), "keep"_a,
             "durability"_a.none(), "tick"_a.none());
  module.def("publish_tensors", &publish_tensors_document, "tensors"_a, "root"_a.none(),
             "metadata"_a.none(), "keep"_a, "durability"_a.none(), "tick"_a.none());
  module.def("adapter_keys", &keys_of, "tensors"_a, "config"_a, "adapter_name"_a.none(),
             nb::sig("def adapter_keys(tensors: list[tuple[str, str, list[int]]], config: "
                     "AdapterConfig, adapter_name: str | None) -> list[tuple[int, str]]"));
  module.def("save_shard", &shard_document, "parts"_a, "tensors"_a, "config"_a, "directory"_a,
             "rank"_a, "world_size"_a, "run_id"_a, "step"_a.none(), "durability"_a,
             "tick"_a.none());
  nb::class_<Reader>(module, "PublishedReader",
                     "Follows the current generation of a folder that publish() writes.")
      .def("__init__", no_constructor<Reader>("open one with ferrule.PublishedReader.open(root)"))
      .def_static("open", &open_reader, "root"_a,
                  nb::sig("def open(root: str | os.PathLike[str]) -> PublishedReader"),
                  "Raises NotFoundError if nothing was published there yet.")
      .def_prop_ro(
          "changed", [](const Reader& self) { return self.reader->changed(); },
          "Whether something was published since current() was read last. A load from memory: no "
          "system call.")
      .def("current", &current_of, nb::sig("def current(self) -> tuple[int, str]"),
           "The number of the current generation, and its folder.")
      .def("__repr__", [](const Reader& self) {
        return to_str("<ferrule.PublishedReader " + quote(self.root) + ">");
      });
}

}  // namespace ferrule::python
