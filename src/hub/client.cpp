// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/try.hpp"
#include "ferrule/hub.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/pull.hpp"
#include "hub/huggingface/push.hpp"
#include "hub/huggingface/reference.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/object_store/pull_from_store.hpp"
#include "hub/object_store/push_to_store.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {

HubClient::HubClient(Settings settings)
    : session_(std::make_unique<Session>(std::move(settings))) {}
HubClient::HubClient(HubClient&&) noexcept = default;
HubClient& HubClient::operator=(HubClient&&) noexcept = default;
HubClient::~HubClient() = default;

const Settings& HubClient::settings() const noexcept { return session_->settings; }

Result<PushReport> HubClient::push(const std::filesystem::path& directory,
                                   const std::string& destination, const PushOptions& options) {
  return is_object_store(destination)
             ? push_to_store(*session_, directory, destination, options)
             : push_to_repository(*session_, directory, destination, options);
}

Result<PullReport> HubClient::pull(const std::string& source, const PullOptions& options) {
  if (is_object_store(source)) return pull_from_store(*session_, source, options);
  if (!source.starts_with("hf://")) return pull_from_repository(*session_, source, options);
  FERRULE_TRY(const auto reference, Reference::parse(source));
  if (!reference.folder.empty()) {
    return fail(Failure::kUsage,
                "a pull takes whole repositories, or single files: name them instead of a folder");
  }
  auto at = options;
  if (!reference.revision.empty()) {
    if (!options.revision.empty() && options.revision != reference.revision)
      return fail(Failure::kUsage, "two revisions: one in the address, and another");
    at.revision = reference.revision;
  }
  return pull_from_repository(*session_, reference.repo, at);
}

Result<PushReport> push(const std::filesystem::path& directory, const std::string& destination,
                        const PushOptions& options, const Settings& settings) {
  return HubClient(settings).push(directory, destination, options);
}

Result<PullReport> pull(const std::string& source, const PullOptions& options,
                        const Settings& settings) {
  return HubClient(settings).pull(source, options);
}

bool is_remote(std::string_view text) noexcept {
  return text.rfind("hf://", 0) == 0 || is_object_store(text);
}

}  // namespace ferrule::hub
