// SPDX-License-Identifier: Apache-2.0
#include "remote_path.hpp"

#include <string>
#include <utility>

#include "arguments.hpp"
#include "ferrule/hub.hpp"
#include "hub_call.hpp"

namespace ferrule::python {

namespace nb = nanobind;

LocalPath local_path_of(nb::handle value, std::string_view argument, bool headers_only,
                        bool offline) {
  auto path = path_of(value, argument);
  const std::string address = path.native();
  if (!PyUnicode_Check(value.ptr()) || !hub::is_remote(address)) return {std::move(path)};
  HubCall call{nb::none()};
  hub::PullOptions options;
  options.offline = offline;
  options.watcher = call.watcher();
  auto remote =
      call.run([&] { return hub::HubClient().open_remote(address, headers_only, options); });
  return {std::move(remote.path), std::move(remote.hold)};
}

}  // namespace ferrule::python
