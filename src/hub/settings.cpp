// SPDX-License-Identifier: Apache-2.0
// What huggingface_hub 2.4 reads from the environment, read the same way (constants.py, _auth.py).
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "ferrule/hub.hpp"
#include "ferrule/text_file.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMaxTokenBytes = 65536;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::string(value) : std::string();
}

std::string first_set(std::initializer_list<const char*> names) {
  for (const auto* name : names) {
    if (auto value = environment(name); !value.empty()) return value;
  }
  return {};
}

bool is_true(const std::string& value) {
  std::string upper = value;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper == "1" || upper == "ON" || upper == "YES" || upper == "TRUE";
}

std::optional<std::chrono::seconds> seconds_of(const char* name) {
  const auto text = environment(name);
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return std::chrono::seconds(value);
}

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// "~/x" and "$VAR" or "${VAR}" as a shell expands them; unknown variables stay as they are.
std::filesystem::path expanded(std::string text) {
  if (text == "~" || text.rfind("~/", 0) == 0) text.replace(0, 1, environment("HOME"));
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool braces = text.compare(i, 2, "${") == 0;
    std::size_t end = i + (braces ? 2 : 1);
    if (text[i] == '$') {
      const auto begin = end;
      while (end < text.size() && is_name(text[end])) ++end;
      const auto name = text.substr(begin, end - begin);
      const bool closed = !braces || (end < text.size() && text[end] == '}');
      if (braces && closed) ++end;
      const char* value = name.empty() || !closed ? nullptr : std::getenv(name.c_str());
      out += value != nullptr ? std::string(value) : text.substr(i, end - i);
    } else {
      out += text[i];
    }
    i = end;
  }
  return out;
}

std::string stripped(std::string text) {
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_space));
  text.erase(std::find_if_not(text.rbegin(), text.rend(), is_space).base(), text.end());
  return text;
}

std::string find_token(const std::filesystem::path& home) {
  if (is_true(environment("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return {};
  for (const auto* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (auto token = stripped(environment(name)); !token.empty()) return token;
  }
  const auto named = environment("HF_TOKEN_PATH");
  const auto path = named.empty() ? home / "token" : expanded(named);
  const auto text = read_text_file(path, kMaxTokenBytes);
  return text ? stripped(*text) : std::string();
}

}  // namespace

Settings Settings::from_environment() {
  Settings settings;
  settings.endpoint = first_set({"HF_ENDPOINT"});
  if (settings.endpoint.empty()) {
    settings.endpoint = is_true(environment("HUGGINGFACE_CO_STAGING"))
                            ? "https://hub-ci.huggingface.co"
                            : "https://huggingface.co";
  }
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  auto home = first_set({"HF_HOME"});
  if (home.empty()) {
    const auto xdg = environment("XDG_CACHE_HOME");
    home = (xdg.empty() ? "~/.cache" : xdg) + "/huggingface";
  }
  settings.home = expanded(home);
  const auto cache = first_set({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = cache.empty() ? settings.home / "hub" : expanded(cache);
  settings.token = find_token(settings.home);
  settings.offline = is_true(first_set({"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}));
  settings.symlinks = !is_true(environment("HF_HUB_DISABLE_SYMLINKS"));
  if (const auto wait = seconds_of("HF_HUB_ETAG_TIMEOUT")) {
    settings.connect_timeout = *wait;
    settings.answer_timeout = *wait;
    // A commit may take long in good order.
    settings.commit_timeout = std::max(*wait, std::chrono::seconds(10));
  }
  if (const auto wait = seconds_of("HF_HUB_DOWNLOAD_TIMEOUT")) settings.transfer_timeout = *wait;
  return settings;
}

}  // namespace ferrule::hub
