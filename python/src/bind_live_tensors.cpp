// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string_view.h>

#include <memory>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text.hpp"
#include "tensors_in.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

Accept accept_of(std::string_view kind) {
  if (kind == "any") return Accept::kAny;
  if (kind == "torch") return Accept::kTorch;
  if (kind == "numpy") return Accept::kNumpy;
  wrong_value("accept", R"("any", "torch" or "numpy")", kind);
}

void write_live(const LiveTensors& self, nb::handle path, nb::handle metadata,
                std::string_view durability) {
  const auto where = path_of(path, "path");
  const auto pairs = metadata_of(metadata, "metadata");
  const auto flush = durability_of(durability);
  const auto empty = empty_metadata_of(metadata);
  value_or_raise(without_gil([&] {
    return write_safetensors(where, self.tensors(), pairs,
                             {.durability = flush, .empty_metadata = empty});
  }));
}

nb::bytes serialize_live(const LiveTensors& self, nb::handle metadata) {
  const auto pairs = metadata_of(metadata, "metadata");
  const auto empty = empty_metadata_of(metadata);
  const auto bytes = value_or_raise(
      without_gil([&] { return serialize_safetensors(self.tensors(), pairs, empty); }));
  return nb::bytes(bytes.data(), bytes.size());
}

}  // namespace

void bind_live_tensors(nb::module_& module) {
  nb::class_<LiveTensors>(module, "LiveTensors",
                          "Tensors of torch or numpy as native code reads them: the addresses of "
                          "their bytes, without a copy if they are contiguous in host memory.")
      .def(nb::new_([](nb::handle tensors, std::string_view accept) {
             return LiveTensors::of(tensors, "tensors", accept_of(accept));
           }),
           "tensors"_a.none(), "accept"_a = "any")
      .def("__len__", [](const LiveTensors& self) { return self.tensors().size(); })
      .def_prop_ro("overlapping", &LiveTensors::overlapping, "Whether two tensors share bytes.")
      .def_prop_ro("all_in_place", &LiveTensors::all_in_place,
                   "Whether no tensor had to be copied.")
      .def_prop_ro("byte_count", &LiveTensors::byte_count, "Bytes of all tensors.")
      .def("write_safetensors", &write_live, "path"_a.none(), "metadata"_a = nb::none(),
           nb::kw_only(), "durability"_a = "safe",
           nb::sig("def write_safetensors(self, path: str | os.PathLike[str], metadata: "
                   "dict[str, str] | None = None, *, durability: typing.Literal['fast', 'safe', "
                   "'full'] = 'safe') -> None"),
           "Writes the bytes that safetensors writes. The file appears whole or not at all; the "
           "GIL is released meanwhile. Raises InvalidArgumentError, IoError, LimitExceededError.")
      .def("serialize_safetensors", &serialize_live, "metadata"_a = nb::none(),
           nb::sig("def serialize_safetensors(self, metadata: dict[str, str] | None = None) -> "
                   "bytes"),
           "The same bytes in memory.");
}

}  // namespace ferrule::python
