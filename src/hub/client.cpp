// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "hub/files/session.hpp"

namespace ferrule::hub {

HubClient::HubClient(Settings settings)
    : session_(std::make_unique<Session>(std::move(settings))) {}
HubClient::HubClient(HubClient&&) noexcept = default;
HubClient& HubClient::operator=(HubClient&&) noexcept = default;
HubClient::~HubClient() = default;

const Settings& HubClient::settings() const noexcept { return session_->settings; }

}  // namespace ferrule::hub
