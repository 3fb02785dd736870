// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"
#include "hub/huggingface/lfs_answer.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/huggingface/upload_journal.hpp"
#include "hub/transport/file_body.hpp"
#include "hub/transport/lanes.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {

inline constexpr const char* kLfsMediaType = "application/vnd.git-lfs+json";

/// Whether a store that answers with this status may accept another address: the address expired
/// or was never valid.
bool wants_fresh_address(int status) noexcept;

/// Sends one object to the store (steps 2 to 4 of lfs.hpp), several parts at a time.
class LfsTransfer {
 public:
  LfsTransfer(const Repository& repository, Lanes& lanes, const PushFile& file,
              const io::InputFile& input, const Stop& stop, Meter& meter);

  /// The store's answer: 2xx if it has the object. If an earlier push began a multipart upload,
  /// only the missing parts are sent.
  Result<Response> send(const Action& upload);
  Result<void> verify(const Action& action);

 private:
  Result<Response> basic(const Action& upload);
  Result<Response> multipart(Parts parts);
  Result<Response> send_parts(Parts& parts);
  Result<Response> put_part(const Parts& parts, std::uint64_t part, FileBody& body,
                            const Stop& stop) const;
  Result<Response> complete(const Parts& parts) const;
  /// Subtracts the parts that arrived from the meter.
  void unmeter(const Parts& parts);
  std::uint64_t size_of(const Parts& parts, std::uint64_t part) const;
  Request request(Method method, std::string url, std::string what) const;

  const Repository& repository_;
  Lanes& lanes_;
  const PushFile& file_;
  const io::InputFile& input_;
  const Stop& stop_;
  Meter& meter_;
  UploadJournal journal_;
};

}  // namespace ferrule::hub
