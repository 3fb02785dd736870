// SPDX-License-Identifier: Apache-2.0
#include "remote_path.hpp"

#include <string>
#include <utility>

#include "arguments.hpp"
#include "ferrule/hub.hpp"
#include "hub_call.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

/// Runs a look-up of the hub.
template <typename Look>
LocalPath look_up(bool offline, Look look) {
  HubCall call{nb::none()};
  hub::PullOptions options;
  options.offline = offline;
  options.watcher = call.watcher();
  auto place = call.run([&] { return look(options); });
  return {std::move(place.path), std::move(place.hold)};
}

/// A path object is always a path. So is a str that exists.
bool may_be_elsewhere(nb::handle value, const std::string& text) {
  return PyUnicode_Check(value.ptr()) && (hub::is_remote(text) || hub::is_repo_id(text));
}

}  // namespace

LocalPath local_path_of(nb::handle value, std::string_view argument, bool headers_only) {
  auto path = path_of(value, argument);
  const std::string text = path.native();
  if (!may_be_elsewhere(value, text)) return {std::move(path)};
  return look_up(false,
                 [&](const auto& options) { return hub::locate(text, headers_only, options); });
}

LocalPath apart_path_of(nb::handle value, std::string_view argument) {
  auto path = path_of(value, argument);
  const std::string text = path.native();
  if (!may_be_elsewhere(value, text)) return {std::move(path)};
  return look_up(false, [&](const auto& options) { return hub::locate_apart(text, options); });
}

LocalPath base_path_of(nb::handle value, std::string_view argument, bool offline) {
  auto path = path_of(value, argument);
  const std::string text = path.native();
  if (!PyUnicode_Check(value.ptr())) return {std::move(path)};
  return look_up(offline, [&](const auto& options) { return hub::locate_base(text, options); });
}

LocalPath base_path_of(const AdapterConfig& config, bool offline) {
  return look_up(offline,
                 [&](const auto& options) { return hub::locate_base_of(config, options); });
}

}  // namespace ferrule::python
