// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/rate_limit.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <vector>

#include "hub/transport/curl.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kMaxPauseSeconds = 100'000'000;  // Three years: no larger number is a pause.
// Reset times above this are points in time (seconds since 1970), not pauses.
constexpr std::int64_t kMoment = 1'000'000'000;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.remove_suffix(1);
  return text;
}

std::optional<std::int64_t> number(std::string_view text) {
  text = trimmed(text);
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || value < 0) return std::nullopt;
  const auto rest =
      std::string_view(end, static_cast<std::size_t>(text.data() + text.size() - end));
  // "1.5" waits two seconds.
  if (rest.empty()) return value;
  if (rest.front() == '.') return value + 1;
  return std::nullopt;
}

/// The pieces between separators that are not inside quotes.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '"') quoted = !quoted;
    if (i == text.size() || (text[i] == separator && !quoted)) {
      pieces.push_back(trimmed(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  return pieces;
}

struct Window {
  std::optional<std::int64_t> remaining;
  std::optional<std::int64_t> reset;
};

void read_parameter(std::string_view text, Window& window) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return;
  const auto name = trimmed(text.substr(0, equals));
  const auto value = number(text.substr(equals + 1));
  if (name == "r" || name == "remaining") window.remaining = value;
  if (name == "t" || name == "reset") window.reset = value;
}

/// `"api";r=0;t=55, "pages";r=9;t=2`, or the older `limit=5, remaining=0, reset=55`.
std::vector<Window> read_windows(std::string_view header) {
  std::vector<Window> windows;
  Window flat;
  for (const auto item : split(header, ',')) {
    const auto parameters = split(item, ';');
    if (parameters.size() == 1) {
      read_parameter(item, flat);
      continue;
    }
    Window window;
    for (const auto parameter : parameters) read_parameter(parameter, window);
    windows.push_back(window);
  }
  if (flat.remaining || flat.reset) windows.push_back(flat);
  return windows;
}

std::optional<std::string_view> find(std::span<const Header> headers, std::string_view name) {
  for (const auto& header : headers) {
    if (header.name == name) return header.value;
  }
  return std::nullopt;
}

std::optional<std::int64_t> retry_after(std::string_view value, std::int64_t now) {
  if (const auto count = number(value)) return *count;
  if (curl() == nullptr) return std::nullopt;
  const auto date = curl()->getdate(std::string(value).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max<std::int64_t>(0, std::int64_t{date} - now);
}

std::vector<Window> all_windows(std::span<const Header> headers) {
  std::vector<Window> windows;
  for (const auto& header : headers) {
    if (header.name != "ratelimit") continue;
    const auto more = read_windows(header.value);
    windows.insert(windows.end(), more.begin(), more.end());
  }
  for (const std::string prefix : {"ratelimit", "x-ratelimit"}) {
    Window window;
    if (const auto left = find(headers, prefix + "-remaining")) window.remaining = number(*left);
    if (const auto reset = find(headers, prefix + "-reset")) window.reset = number(*reset);
    if (window.remaining || window.reset) windows.push_back(window);
  }
  return windows;
}

}  // namespace

Pause read_pause(std::span<const Header> headers, std::chrono::system_clock::time_point now) {
  const std::int64_t moment = std::chrono::system_clock::to_time_t(now);
  Pause pause;
  bool room_left = false;
  std::optional<std::int64_t> wait;
  for (const auto& window : all_windows(headers)) {
    if (window.remaining && *window.remaining > 0) {
      room_left = true;
      continue;
    }
    if (!window.reset) continue;
    const auto left =
        *window.reset > kMoment ? std::max<std::int64_t>(0, *window.reset - moment) : *window.reset;
    wait = std::max(wait.value_or(0), left);
  }
  const bool full = wait.has_value();
  if (const auto value = find(headers, "retry-after")) {
    if (const auto after = retry_after(*value, moment)) wait = std::max(wait.value_or(0), *after);
  }
  pause.hidden_quota = room_left && !full && !wait;
  // One second more than asked: clocks differ, and windows end within a second.
  if (wait) pause.wait = seconds(std::min(*wait, kMaxPauseSeconds) + 1);
  return pause;
}

}  // namespace ferrule::hub
