// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "ferrule/hub.hpp"
#include "ferrule/text_file.hpp"
#include "hub/digest_memo.hpp"
#include "hub/http.hpp"
#include "hub/lanes.hpp"

namespace ferrule::hub {

struct HubClient::Rep {
  explicit Rep(Settings given)
      : settings(std::move(given)), lanes(settings), http(lanes.main()), memo(settings.home) {}

  Settings settings;
  Lanes lanes;
  Http& http;  ///< The main one.
  DigestMemo memo;
};

}  // namespace ferrule::hub
