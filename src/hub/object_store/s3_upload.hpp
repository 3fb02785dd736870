// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/transport/lanes.hpp"
#include "hub/transport/meter.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {

/// The most that S3 takes in parts.
inline constexpr std::uint64_t kMaxS3Object = std::uint64_t{5} << 40;

/// Uploads in parts that stand unfinished below the folder, by path, the newest last. Empty where
/// the store does not tell: a push then begins anew.
using Unfinished = std::map<std::string, std::vector<std::string>>;
Unfinished list_unfinished(Http& http, const ObjectStore& store);

/// Files on their way to S3: small ones by one request each; large ones in parts, several at a
/// time, going on from those that a killed or failed push left there. Nothing is left unfinished
/// but what the next push can go on from.
class S3Upload {
 public:
  S3Upload(const ObjectStore& store, Lanes& lanes, const Stop& stop, Meter& meter,
           Unfinished unfinished)
      : store_(store),
        lanes_(lanes),
        stop_(stop),
        meter_(meter),
        unfinished_(std::move(unfinished)) {}

  /// May be called by several threads at once, for one file each.
  Result<void> send(const PushFile& file) const;

 private:
  /// An upload in parts and the ETags of those that the store has.
  struct Begun {
    std::string id;
    std::map<std::uint64_t, std::string> etags = {};
  };

  Result<void> put(const PushFile& file, const io::InputFile& input) const;
  Result<void> multipart(const PushFile& file, const io::InputFile& input) const;
  Result<std::optional<Begun>> take_up(const PushFile& file, const io::InputFile& input) const;
  Result<std::optional<Begun>> known_parts(const PushFile& file, const io::InputFile& input,
                                           const std::string& id) const;
  Result<Begun> begin(const PushFile& file) const;
  Result<Response> send_parts(const PushFile& file, const io::InputFile& input, Begun& begun) const;
  Result<Response> put_part(const PushFile& file, const io::InputFile& input, const Begun& begun,
                            std::uint64_t part, const Stop& stop) const;
  Result<Response> complete(const PushFile& file, const Begun& begun) const;
  Result<bool> is_complete(const PushFile& file, const Begun& begun) const;
  void abort(const PushFile& file, const std::string& id) const;
  Request request(Method method, const PushFile& file, const std::string& query,
                  const std::string& sha256) const;

  const ObjectStore& store_;
  Lanes& lanes_;
  const Stop& stop_;
  Meter& meter_;
  Unfinished unfinished_;
};

}  // namespace ferrule::hub
