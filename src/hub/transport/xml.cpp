// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/xml.hpp"

#include <utility>

namespace ferrule::hub {
namespace {

constexpr std::pair<std::string_view, char> kEntities[] = {
    {"&lt;", '<'},   {"&gt;", '>'},  {"&quot;", '"'}, {"&apos;", '\''},
    {"&#39;", '\''}, {"&#34;", '"'}, {"&amp;", '&'}};

}  // namespace

std::optional<std::string_view> inner_xml(std::string_view xml, std::string_view name,
                                          std::size_t& at) {
  const auto open = "<" + std::string(name) + ">";
  const auto begin = xml.find(open, at);
  if (begin == std::string_view::npos) return std::nullopt;
  const auto end = xml.find("</" + std::string(name) + ">", begin);
  if (end == std::string_view::npos) return std::nullopt;
  at = end;
  return xml.substr(begin + open.size(), end - begin - open.size());
}

std::optional<std::string> xml_text(std::string_view xml, std::string_view name, std::size_t& at) {
  const auto inner = inner_xml(xml, name, at);
  if (!inner) return std::nullopt;
  std::string text;
  for (std::size_t i = 0; i < inner->size();) {
    const auto rest = inner->substr(i);
    const std::pair<std::string_view, char>* found = nullptr;
    for (const auto& entity : kEntities) {
      if (rest.front() == '&' && rest.rfind(entity.first, 0) == 0) found = &entity;
    }
    text += found != nullptr ? found->second : rest.front();
    i += found != nullptr ? found->first.size() : 1;
  }
  return text;
}

std::optional<std::string> xml_text(std::string_view xml, std::string_view name) {
  std::size_t at = 0;
  return xml_text(xml, name, at);
}

std::string xml_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const std::pair<std::string_view, char>* found = nullptr;
    for (const auto& entity : kEntities) {
      if (found == nullptr && entity.second == c) found = &entity;
    }
    if (found != nullptr) {
      out += found->first;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace ferrule::hub
