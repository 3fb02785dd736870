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

/// The largest object that S3 accepts in parts.
inline constexpr std::uint64_t kMaxS3Object = std::uint64_t{5} << 40;

/// The ids of unfinished multipart uploads below the folder, by path, the newest last. Empty if the
/// store does not list them; a push then starts from the beginning.
using Unfinished = std::map<std::string, std::vector<std::string>>;
Unfinished list_unfinished(Http& http, const ObjectStore& store);

/// Sends files to S3:
///
///   - below 16 MiB: one PUT;
///   - from 16 MiB on, in parts of 8 MiB or more (10,000 at most), several at a time:
///       1. Take up an unfinished upload of this path (list_unfinished) if the size and MD5 of
///       every
///          part that it has match the file. DELETE the others of this path.
///       2. Otherwise POST ?uploads for a new id.
///       3. PUT each missing part with ?partNumber and ?uploadId.
///       4. POST the ETags of all parts. S3 can report a failure in a 200; that is HB-11.
///       5. A 404 means that the upload is gone. If the object has the ETag that these parts give,
///          the reply was lost and the upload is complete; otherwise start again at 2.
///     After a failure that the next push can continue from (HB-3, HB-10, HB-11) the parts stay in
///     the store; after any other failure the upload is deleted.
class S3Upload {
 public:
  S3Upload(const ObjectStore& store, Lanes& lanes, const Stop& stop, Meter& meter,
           Unfinished unfinished)
      : store_(store),
        lanes_(lanes),
        stop_(stop),
        meter_(meter),
        unfinished_(std::move(unfinished)) {}

  /// Safe for several threads, each with its own file.
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
