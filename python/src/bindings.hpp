// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

/// One function for each bind_*.cpp, called by module.cpp in the order in which types need each
/// other.
namespace ferrule::python {

/// The constructor of a class whose objects only the module makes: says how to get one.
template <typename T>
auto no_constructor(const char* how) {
  return [how](T*) { throw nanobind::type_error(how); };
}

void bind_findings(nanobind::module_& module);
void bind_config(nanobind::module_& module);
void bind_adapter(nanobind::module_& module);
void bind_base_model(nanobind::module_& module);
void bind_checkpoint(nanobind::module_& module);
void bind_factor(nanobind::module_& module);
void bind_merge(nanobind::module_& module);
void bind_hub(nanobind::module_& module);
void bind_examine(nanobind::module_& module);
void bind_live_tensors(nanobind::module_& module);
void bind_reports(nanobind::module_& module);
void bind_rescue(nanobind::module_& module);
void bind_rows(nanobind::module_& module);
void bind_save(nanobind::module_& module);
void bind_safetensors(nanobind::module_& module);
void bind_tensor_spec(nanobind::module_& module);

}  // namespace ferrule::python
