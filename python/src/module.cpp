// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "ferrule/version.hpp"
#include "text.hpp"

namespace {

namespace nb = nanobind;

/// inspect.signature() looks for `__signature__`, which nanobind's functions do not have. Their
/// types are closed to setattr, so the property is put into the types' own dictionaries.
void add_signatures(nb::module_& module) {
  const auto property =
      nb::module_::import_("builtins").attr("property")(module.attr("_signature_of"));
  const auto referents = nb::module_::import_("gc").attr("get_referents");
  const nb::object finding = module.attr("Finding")("note");
  const nb::object functions[] = {module.attr("check"), finding.type().attr("to_dict"),
                                  finding.attr("to_dict")};
  for (const auto& function : functions) {
    const nb::object owned = referents(function.type().attr("__dict__"));
    for (const nb::handle inner : nb::iter(owned)) {
      if (!PyDict_Check(inner.ptr())) continue;
      nb::borrow<nb::dict>(inner)["__signature__"] = property;
      PyType_Modified(reinterpret_cast<PyTypeObject*>(function.type().ptr()));
    }
  }
}

}  // namespace

NB_MODULE(_ferrule, module) {
  using namespace nb::literals;
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
  py::bind_examine(module);
  py::bind_live_tensors(module);
  py::bind_reports(module);
  py::bind_factor(module);
  py::bind_rescue(module);
  py::bind_rows(module);
  py::bind_merge(module);
  py::bind_save(module);
  py::bind_safetensors(module);
  py::bind_tensor_spec(module);
  module.def(
      "_signature_of",
      [](nb::handle function) {
        return nb::module_::import_("ferrule._signatures").attr("signature_of")(function);
      },
      "function"_a, "The inspect.Signature of a native function.");
  add_signatures(module);
}
