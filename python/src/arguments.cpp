// SPDX-License-Identifier: Apache-2.0
#include "arguments.hpp"

#include <string>

#include "errors.hpp"
#include "ferrule/text.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

void wrong_type(std::string_view argument, const char* expected, nb::handle found) {
  const auto text =
      std::string(argument) + ": expected " + expected + ", found " + type_name_of(found);
  throw nb::type_error(text.c_str());
}

void wrong_value(std::string_view argument, const char* expected, std::string_view found) {
  const auto text = std::string(argument) + ": expected " + expected + ", found " + quote(found);
  raise(ErrorCode::kInvalidArgument, text);
}

std::filesystem::path path_of(nb::handle value, std::string_view argument) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(value.ptr(), &encoded) == 0) {
    if (PyErr_ExceptionMatches(PyExc_TypeError) == 0) throw nb::python_error();
    PyErr_Clear();
    wrong_type(argument, "str or os.PathLike", value);
  }
  const nb::object bytes = nb::steal(encoded);
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw nb::python_error();
  return {std::string(data, static_cast<std::size_t>(size))};
}

nb::object to_path_str(const std::filesystem::path& path) {
  const auto& native = path.native();
  return nb::steal(
      PyUnicode_DecodeFSDefaultAndSize(native.data(), static_cast<Py_ssize_t>(native.size())));
}

std::string str_of(nb::handle value, std::string_view argument) {
  if (!PyUnicode_Check(value.ptr())) wrong_type(argument, "str", value);
  return std::string(utf8_of(value));
}

std::string bytes_of(nb::handle value, std::string_view argument) {
  if (!PyUnicode_Check(value.ptr())) wrong_type(argument, "str", value);
  const nb::object bytes =
      nb::steal(PyUnicode_AsEncodedString(value.ptr(), "utf-8", "surrogateescape"));
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (!bytes.is_valid() || PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) {
    throw nb::python_error();
  }
  return {data, static_cast<std::size_t>(size)};
}

std::vector<std::string> strs_of(nb::handle value, std::string_view argument) {
  if (PyUnicode_Check(value.ptr()) || PyObject_HasAttrString(value.ptr(), "__iter__") == 0) {
    wrong_type(argument, "a list of str", value);
  }
  std::vector<std::string> texts;
  for (const nb::handle item : nb::iter(value)) texts.push_back(str_of(item, argument));
  return texts;
}

Backing backing_of(std::string_view value) {
  if (value == "map") return Backing::kMap;
  if (value == "copy") return Backing::kCopy;
  wrong_value("backing", R"("map" or "copy")", value);
}

std::string id_of(std::string value) {
  if (value.size() == 64 && value.find_first_not_of("0123456789abcdef") == std::string::npos) {
    return value;
  }
  wrong_value("id", "64 hexadecimal digits", value);
}

WriteCard card_of(nb::handle value) {
  if (value.ptr() == Py_True) return WriteCard::kYes;
  if (value.ptr() == Py_False) return WriteCard::kNo;
  constexpr const char* kExpected = R"(True, False or "plain")";
  if (!PyUnicode_Check(value.ptr())) wrong_type("card", kExpected, value);
  const auto word = str_of(value, "card");
  if (word != "plain") wrong_value("card", kExpected, word);
  return WriteCard::kPlain;
}

Durability durability_of(std::string_view value) {
  if (value == "fast") return Durability::kFast;
  if (value == "safe") return Durability::kSafe;
  if (value == "full") return Durability::kFull;
  wrong_value("durability", R"("fast", "safe" or "full")", value);
}

Metadata metadata_of(nb::handle value, std::string_view argument) {
  Metadata metadata;
  if (value.is_none()) return metadata;
  if (!PyDict_Check(value.ptr())) wrong_type(argument, "a dict of str to str", value);
  PyObject* key = nullptr;
  PyObject* text = nullptr;
  Py_ssize_t position = 0;
  while (PyDict_Next(value.ptr(), &position, &key, &text)) {
    if (!PyUnicode_Check(key)) wrong_type(argument, "keys of str", key);
    if (!PyUnicode_Check(text)) {
      wrong_type(std::string(argument) + "[" + quote(utf8_of(key)) + "]", "str", text);
    }
    metadata.emplace_back(utf8_of(key), utf8_of(text));
  }
  return metadata;
}

EmptyMetadata empty_metadata_of(nb::handle metadata) {
  return metadata.is_none() ? EmptyMetadata::kLeaveOut : EmptyMetadata::kKeep;
}

nb::dict from_metadata(const Metadata& metadata) {
  nb::dict dict;
  for (const auto& [key, value] : metadata) dict[to_str(key)] = to_str(value);
  return dict;
}

nb::tuple to_shape(std::span<const std::uint64_t> shape) {
  nb::list extents;
  for (const auto extent : shape) extents.append(extent);
  return nb::tuple(extents);
}

}  // namespace ferrule::python
