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

  /// Sends once. Fails with HB-3 where no whole answer came, with HB-12 where it may not be taken,
  /// or with the error of body, on_head or sink.
  Result<Response> exchange(const Request& request);

  /// Sends until an answer comes that another try would not change: pauses as the server asks, or
  /// longer each time. An unsafe request is repeated only where it surely was not carried out.
  Result<Response> send(const Request& request);

  /// As send(), and anything but 2xx is an error.
  Result<Response> require(const Request& request);

  /// Another connection to the same servers, for another thread. What watch() says to one is said
  /// to both, and each warning is told once.
  Http another() const;

  /// Requests and pauses end once the stop is requested; nullptr for none.
  void heed(const Stop* stop) noexcept;

  /// Who is told what servers say in X-HF-Warning ("TOPIC; words"), each warning once, and who may
  /// cancel. Stays until the next call.
  void watch(const Watcher& watcher);

  /// Waits that long. Fails with HB-21 where the watcher cancels, or with stopped().
  Result<void> pause(std::chrono::milliseconds length);

  const Settings& settings() const noexcept;

 private:
  /// Why what is under way should end; nullopt where it should not.
  std::optional<Error> interruption() const;

  struct Rep;
  explicit Http(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule::hub
