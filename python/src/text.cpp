// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

std::string_view utf8_of(nb::handle text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw nb::python_error();
  return {data, static_cast<std::size_t>(size)};
}

std::string text_of(nb::handle object) {
  const nb::str text(object);
  return std::string(utf8_of(text));
}

nb::str to_str(std::string_view bytes) {
  nb::str text = nb::steal<nb::str>(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape"));
  if (!text.is_valid()) throw nb::python_error();
  return text;
}

std::string type_name_of(nb::handle object) { return text_of(nb::type_name(object.type())); }

}  // namespace ferrule::python
