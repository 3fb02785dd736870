// SPDX-License-Identifier: Apache-2.0
#include "json_value.hpp"

#include <string>
#include <utility>

#include "errors.hpp"
#include "ferrule/report_json.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

/// As deep as Json::parse goes.
constexpr int kMaxDepth = 128;

Json integer(nb::handle value) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
  if (overflow == 0) {
    if (number == -1 && PyErr_Occurred() != nullptr) throw nb::python_error();
    return {static_cast<std::int64_t>(number)};
  }
  const nb::object plain = nb::steal(PyNumber_Long(value.ptr()));
  return Json::big_integer(text_of(plain));
}

Json convert(nb::handle value, std::string_view argument, int depth);

Json list(nb::handle items, std::string_view argument, int depth) {
  Json::Array array;
  for (const nb::handle item : nb::iter(items)) array.push_back(convert(item, argument, depth));
  return {std::move(array)};
}

Json object(nb::handle dict, std::string_view argument, int depth) {
  Json::Object members;
  const nb::object pairs = nb::steal(PyDict_Items(dict.ptr()));
  for (const nb::handle pair : nb::iter(pairs)) {
    const nb::object key = pair[0];
    // As json.dumps writes a number that is a key.
    const std::string name = PyUnicode_Check(key.ptr()) ? std::string(utf8_of(key)) : text_of(key);
    members.emplace_back(name, convert(pair[1], argument, depth));
  }
  return {std::move(members)};
}

/// A number of numpy, or a tensor without dimensions: what a sweep hands out for a rank.
bool is_scalar_of_library(nb::handle value) {
  if (!nb::hasattr(value, "dtype") || !nb::hasattr(value, "item") || !nb::hasattr(value, "shape")) {
    return false;
  }
  const nb::object shape = value.attr("shape");
  const auto length = PyObject_Length(shape.ptr());
  if (length < 0) PyErr_Clear();
  return length == 0;
}

Json convert(nb::handle value, std::string_view argument, int depth) {
  PyObject* raw = value.ptr();
  if (depth > kMaxDepth) {
    throw nb::value_error((std::string(argument) + ": nested too deeply").c_str());
  }
  if (value.is_none()) return {};
  if (PyBool_Check(raw)) return {value.is(nb::handle(Py_True))};
  if (PyLong_Check(raw)) return integer(value);
  if (PyFloat_Check(raw)) return {PyFloat_AsDouble(raw)};
  if (PyUnicode_Check(raw)) return {utf8_of(value)};
  if (PyDict_Check(raw)) return object(value, argument, depth + 1);
  if (PyList_Check(raw) || PyTuple_Check(raw)) return list(value, argument, depth + 1);
  if (PyAnySet_Check(raw)) {
    const nb::object sorted = nb::steal(PySequence_List(raw));
    if (!sorted.is_valid() || PyList_Sort(sorted.ptr()) != 0) throw nb::python_error();
    return list(sorted, argument, depth + 1);
  }
  if (is_scalar_of_library(value)) return convert(value.attr("item")(), argument, depth + 1);
  throw nb::type_error((std::string(argument) + ": JSON has no " + type_name_of(value)).c_str());
}

}  // namespace

nb::object from_json(const Json& value) {
  if (const auto* flag = value.if_bool()) return nb::bool_(*flag);
  if (const auto* number = value.if_int64()) return nb::int_(*number);
  if (const auto* digits = value.if_big_integer()) {
    return nb::steal(PyLong_FromString(digits->c_str(), nullptr, 10));
  }
  if (const auto* number = value.if_float()) return nb::float_(*number);
  if (const auto* text = value.if_string()) return to_str(*text);
  if (const auto* array = value.if_array()) {
    nb::list items;
    for (const auto& item : *array) items.append(from_json(item));
    return items;
  }
  if (const auto* members = value.if_object()) {
    nb::dict dict;
    for (const auto& [name, member] : *members) dict[to_str(name)] = from_json(member);
    return dict;
  }
  return nb::none();
}

nb::object document_of(Json::Object fields) {
  return from_json(report_document(std::move(fields)));
}

Json to_json(nb::handle value, std::string_view argument) { return convert(value, argument, 0); }

}  // namespace ferrule::python
