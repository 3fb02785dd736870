// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/xml.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace ferrule::hub {
namespace {

TEST(HubXml, ElementsAreReadOneAfterTheOther) {
  const std::string xml = "<L><Part><N>1</N></Part><Part><N>2</N></Part></L>";
  std::size_t at = 0;
  EXPECT_EQ(inner_xml(xml, "Part", at), "<N>1</N>");
  EXPECT_EQ(inner_xml(xml, "Part", at), "<N>2</N>");
  EXPECT_EQ(inner_xml(xml, "Part", at), std::nullopt);
  EXPECT_EQ(xml_text(xml, "N"), "1");
  EXPECT_EQ(xml_text(xml, "Missing"), std::nullopt);
}

TEST(HubXml, EntitiesBecomeTheirCharacters) {
  EXPECT_EQ(xml_text("<Key>a&amp;b&lt;c&gt;&quot;d&quot;&apos;&#39;&#34;</Key>", "Key"),
            "a&b<c>\"d\"''\"");
  // One pass: the result of an entity is not read again.
  EXPECT_EQ(xml_text("<Key>&amp;lt;</Key>", "Key"), "&lt;");
  EXPECT_EQ(xml_text("<Key>&nbsp;&</Key>", "Key"), "&nbsp;&");
  EXPECT_EQ(xml_text("<Key></Key>", "Key"), "");
}

TEST(HubXml, WhatIsTornHasNoElement) {
  for (const auto* torn : {"", "<Key>a", "Key>a</Key>", "<Key", "</Key><Key>", "<Keys>a</Keys>"}) {
    std::size_t at = 0;
    EXPECT_EQ(inner_xml(torn, "Key", at), std::nullopt) << torn;
    EXPECT_EQ(at, 0U) << torn;
  }
}

TEST(HubXml, EscapedTextComesBack) {
  const std::string text = "\"a\" & <b> 'c' &amp; \xC3\xA9";
  const auto escaped = xml_escape(text);
  EXPECT_EQ(escaped.find_first_of("<>\"'"), std::string::npos);
  EXPECT_EQ(xml_text("<a>" + escaped + "</a>", "a"), text);
}

}  // namespace
}  // namespace ferrule::hub
