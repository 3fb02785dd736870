// SPDX-License-Identifier: Apache-2.0
#include "commands/place.hpp"

#include <utility>

#include "exit_code.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#ifdef FERRULE_HAS_HUB
#include "print/hub_report.hpp"
#endif

namespace ferrule::cli {

Place::Place(std::filesystem::path path, bool is_remote, std::shared_ptr<void> hold)
    : path_(std::move(path)), is_remote_(is_remote), hold_(std::move(hold)) {}

#ifdef FERRULE_HAS_HUB

namespace {

/// Runs a look-up of the hub with a line of progress.
template <typename Look>
Result<hub::HubClient::Remote> look_up(bool offline, Look look) {
  HubWatcher watcher("pulling");
  hub::PullOptions options;
  options.offline = offline;
  options.watcher = watcher.watcher();
  auto found = look(options);
  watcher.clear();
  return found;
}

}  // namespace

Result<Place> Place::of_adapter(const std::string& text, bool headers_only) {
  auto found =
      look_up(false, [&](const auto& options) { return hub::locate(text, headers_only, options); });
  if (!found) return found.error();
  return Place(found->path, found->path != text, std::move(found->hold));
}

Result<Place> Place::apart(const std::string& text) {
  auto found =
      look_up(false, [&](const auto& options) { return hub::locate_apart(text, options); });
  if (!found) return found.error();
  return Place(found->path, found->path != text, std::move(found->hold));
}

Result<Place> Place::of_base(const std::string& text, bool offline) {
  auto found =
      look_up(offline, [&](const auto& options) { return hub::locate_base(text, options); });
  if (!found) return found.error();
  return Place(found->path, found->path != text, std::move(found->hold));
}

Result<Place> Place::of_base(const AdapterConfig& config, bool offline) {
  auto found =
      look_up(offline, [&](const auto& options) { return hub::locate_base_of(config, options); });
  if (!found) return found.error();
  return Place(found->path, true, std::move(found->hold));
}

int place_exit_code(const Error& error) {
  return hub::failure_kind(error) == "system" ? exit_code(error) : hub_exit_code(error);
}

Json place_error(const Error& error) {
  return hub::failure_kind(error) == "system" ? to_json(error) : hub_error(error);
}

int fail_place(const Error& error, bool json, Json::Object fields) {
  if (hub::failure_kind(error) == "system") return fail(error, json, std::move(fields));
  return hub_failure(error, json, std::move(fields));
}

#else

Result<Place> Place::of_adapter(const std::string& text, bool) { return Place(text, false, {}); }
Result<Place> Place::apart(const std::string& text) { return Place(text, false, {}); }
Result<Place> Place::of_base(const std::string& text, bool) { return Place(text, false, {}); }

Result<Place> Place::of_base(const AdapterConfig& config, bool) {
  const auto name = config.base_model_name_or_path();
  if (name && !name->empty()) return Place(*name, true, {});
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = "the config does not name its base model: give the base"};
}

int place_exit_code(const Error& error) { return exit_code(error); }
Json place_error(const Error& error) { return to_json(error); }

int fail_place(const Error& error, bool json, Json::Object fields) {
  return fail(error, json, std::move(fields));
}

#endif

}  // namespace ferrule::cli
