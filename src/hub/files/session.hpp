// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "ferrule/hub.hpp"
#include "hub/files/digest_memo.hpp"
#include "hub/transport/http.hpp"
#include "hub/transport/lanes.hpp"

namespace ferrule::hub {

/// What a HubClient keeps from one call to the next: its settings, open connections, and the
/// digests of local files. Not for several threads at once; its lanes are what threads share.
struct Session {
  explicit Session(Settings given)
      : settings(std::move(given)), lanes(settings), http(lanes.main()), memo(settings.home) {}

  Settings settings;
  Lanes lanes;
  Http& http;  ///< The main connection.
  DigestMemo memo;
};

}  // namespace ferrule::hub
