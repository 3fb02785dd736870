// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "hub/client_rep.hpp"

namespace ferrule::hub {

HubClient::HubClient(Settings settings) : rep_(std::make_unique<Rep>(std::move(settings))) {}
HubClient::HubClient(HubClient&&) noexcept = default;
HubClient& HubClient::operator=(HubClient&&) noexcept = default;
HubClient::~HubClient() = default;

const Settings& HubClient::settings() const noexcept { return rep_->settings; }

}  // namespace ferrule::hub
