// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/transport/http_message.hpp"
#include "hub/transport/stop.hpp"

namespace ferrule::hub {

/// One connection, kept open between requests. Not for several threads at once.
class Http {
 public:
  explicit Http(const Settings& settings);
  Http(Http&&) noexcept;
  Http& operator=(Http&&) noexcept;
  ~Http();

  /// Sends once. Fails with HB-3 if no complete answer arrived, with HB-12 if it is not acceptable,
  /// or with the error of body, on_head or sink.
  Result<Response> exchange(const Request& request);

  /// Sends until an answer arrives that another try would not change (http_retry.hpp). Pauses for
  /// as long as the server asks, or longer each time. An unsafe request is repeated only if it was
  /// certainly not carried out.
  Result<Response> send(const Request& request);

  /// As send(), and anything but 2xx is an error.
  Result<Response> require(const Request& request);

  /// Another connection to the same servers, for another thread. Both share one watcher, and each
  /// warning is reported once.
  Http another() const;

  /// Requests and pauses end when the stop is requested; nullptr for none.
  void heed(const Stop* stop) noexcept;

  /// Reports X-HF-Warning headers ("TOPIC; words") to this watcher, each warning once, and lets it
  /// cancel. Valid until the next call.
  void watch(const Watcher& watcher);

  /// Waits that long. Fails with HB-21 if the watcher cancels, or with stopped().
  Result<void> pause(std::chrono::milliseconds length);

  const Settings& settings() const noexcept;

 private:
  /// Why the current request or pause should end; nullopt if it should not.
  std::optional<Error> interruption() const;

  struct Rep;
  explicit Http(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule::hub
