// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "tensors_in.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

void bind_live_tensors(nb::module_& module) {
  nb::class_<LiveTensors>(module, "LiveTensors",
                          "Tensors of torch or numpy as native code reads them: where their bytes "
                          "are, without a copy where they are contiguous in host memory.")
      .def(nb::new_([](nb::handle tensors) { return LiveTensors::of(tensors, "tensors"); }),
           "tensors"_a)
      .def("__len__", [](const LiveTensors& self) { return self.tensors().size(); })
      .def_prop_ro("overlapping", &LiveTensors::overlapping, "Whether two tensors share bytes.")
      .def_prop_ro("all_in_place", &LiveTensors::all_in_place,
                   "Whether every tensor was taken as it stands in memory.")
      .def_prop_ro("byte_count", &LiveTensors::byte_count, "Bytes of all tensors.");
}

}  // namespace ferrule::python
