// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "ferrule/hub.hpp"
#include "ferrule/text_file.hpp"
#include "hub/digest_memo.hpp"
#include "hub/http.hpp"

namespace ferrule::hub {

struct HubClient::Rep {
  explicit Rep(Settings given) : settings(std::move(given)), http(settings), memo(settings.home) {}

  Settings settings;
  Http http;
  DigestMemo memo;
};

}  // namespace ferrule::hub
