// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "ferrule/version.hpp"
#include "text.hpp"

NB_MODULE(_ferrule, module) {
  namespace py = ferrule::python;
  module.doc() = "The native half of ferrule. Import its public names from `ferrule`.";
  module.attr("version") = py::to_str(ferrule::version());
  module.attr("peft_version") = py::to_str(ferrule::peft_version());
  py::bind_findings(module);
  py::bind_config(module);
  py::bind_adapter(module);
  py::bind_base_model(module);
  py::bind_checkpoint(module);
  py::bind_hub(module);
  py::bind_inspect(module);
  py::bind_live_tensors(module);
  py::bind_reports(module);
  py::bind_save(module);
  py::bind_safetensors(module);
  py::bind_tensor_spec(module);
}
