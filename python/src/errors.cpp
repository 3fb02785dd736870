// SPDX-License-Identifier: Apache-2.0
#include "errors.hpp"

#include "ferrule/hub.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

nb::object to_exception(const Error& error) {
  return nb::module_::import_("ferrule._errors")
      .attr("error_of")(
          to_str(error_code_name(error.code)), to_str(error.rule), to_str(error.message),
          to_str(error.path), error.system_errno, to_str(error.to_string()),
          to_str(hub::failure_kind(error)),
          error.http_status != 0 ? nb::object(nb::int_(error.http_status)) : nb::none(),
          error.request_id.empty() ? nb::none() : nb::object(to_str(error.request_id)));
}

void raise(const Error& error) {
  const nb::object exception = to_exception(error);
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  throw nb::python_error();
}

void raise(ErrorCode code, std::string message) {
  raise(Error{.code = code, .message = std::move(message)});
}

}  // namespace ferrule::python
