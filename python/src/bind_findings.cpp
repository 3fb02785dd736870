// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <string>

#include "arguments.hpp"
#include "bindings.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/text.hpp"
#include "findings.hpp"
#include "json_value.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// As the command prints it.
std::string line_of(const Finding& finding) {
  std::string text = finding.path.empty() ? "" : printable(finding.path) + ": ";
  if (finding.severity != Severity::kError) {
    text += std::string(severity_name(finding.severity)) + ": ";
  }
  if (!finding.rule.empty()) text += "[" + finding.rule + "] ";
  return text + finding.message;
}

Severity severity_of(const std::string& name) {
  if (name == "error") return Severity::kError;
  if (name == "warning") return Severity::kWarning;
  if (name == "note") return Severity::kNote;
  wrong_value("severity", R"("error", "warning" or "note")", name);
}

Finding make_finding(nb::handle severity, nb::handle rule, nb::handle path, nb::handle key,
                     nb::handle message, nb::handle advice) {
  return {.severity = severity_of(str_of(severity, "severity")),
          .rule = str_of(rule, "rule"),
          .path = bytes_of(path, "path"),
          .key = bytes_of(key, "key"),
          .message = str_of(message, "message"),
          .advice = str_of(advice, "advice")};
}

nb::tuple fields_of(const Finding& finding) {
  return nb::make_tuple(to_str(severity_name(finding.severity)), to_str(finding.rule),
                        to_str(finding.path), to_str(finding.key), to_str(finding.message),
                        to_str(finding.advice));
}

}  // namespace

nb::list to_list(std::span<const Finding> findings) {
  nb::list list;
  for (const auto& finding : findings) list.append(nb::cast(finding));
  return list;
}

void bind_findings(nb::module_& module) {
  nb::class_<Finding>(module, "Finding", "One result of a check; rules are numbered in docs/rules.")
      .def(nb::new_(&make_finding), "severity"_a, "rule"_a = "", "path"_a = "", "key"_a = "",
           "message"_a = "", "advice"_a = "")
      .def(
          "__eq__",
          [](const Finding& self, nb::handle other) {
            return nb::isinstance<Finding>(other) &&
                   fields_of(self).equal(fields_of(nb::cast<const Finding&>(other)));
          },
          "other"_a, nb::sig("def __eq__(self, other: object) -> bool"))
      .def("__hash__", [](const Finding& self) { return nb::hash(fields_of(self)); })
      .def(
          "__reduce__",
          [](nb::handle self) {
            return nb::make_tuple(self.type(), fields_of(nb::cast<const Finding&>(self)));
          },
          nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def(
          "to_dict", [](const Finding& self) { return from_json(to_json(self)); },
          nb::sig("def to_dict(self) -> dict[str, str]"), "The FINDING of docs/cli.md.")
      .def_prop_ro(
          "severity", [](const Finding& self) { return to_str(severity_name(self.severity)); },
          nb::sig("def severity(self) -> typing.Literal['error', 'warning', 'note']"),
          "\"error\", \"warning\" or \"note\".")
      .def_prop_ro(
          "rule", [](const Finding& self) { return to_str(self.rule); },
          nb::sig("def rule(self) -> str"), "The rule, as in \"AD-3\".")
      .def_prop_ro(
          "path", [](const Finding& self) { return to_str(self.path); },
          nb::sig("def path(self) -> str"), "The file or directory it concerns.")
      .def_prop_ro(
          "key", [](const Finding& self) { return to_str(self.key); },
          nb::sig("def key(self) -> str"),
          "The tensor, config field or module it concerns; may be empty.")
      .def_prop_ro(
          "message", [](const Finding& self) { return to_str(self.message); },
          nb::sig("def message(self) -> str"), "What was expected, what was found.")
      .def_prop_ro(
          "advice", [](const Finding& self) { return to_str(self.advice); },
          nb::sig("def advice(self) -> str"), "What to do about it; may be empty.")
      .def("__str__", [](const Finding& self) { return to_str(line_of(self)); })
      .def("__repr__",
           [](const Finding& self) { return to_str("<ferrule.Finding " + line_of(self) + ">"); });
}

}  // namespace ferrule::python
