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

/// An address of the store has run out, or never was good.
bool wants_fresh_address(int status) noexcept;

/// One object on its way to the store, its parts several at a time.
class LfsTransfer {
 public:
  LfsTransfer(const Repository& repository, Lanes& lanes, const PushFile& file,
              const io::InputFile& input, const Stop& stop, Meter& meter);

  /// The store's answer: 2xx where it has the object. Of a multipart upload that an earlier push
  /// began only the parts that are missing are sent.
  Result<Response> send(const Action& upload);
  Result<void> verify(const Action& action);

 private:
  Result<Response> basic(const Action& upload);
  Result<Response> multipart(Parts parts);
  Result<Response> send_parts(Parts& parts);
  Result<Response> put_part(const Parts& parts, std::uint64_t part, FileBody& body,
                            const Stop& stop) const;
  Result<Response> complete(const Parts& parts) const;
  /// What the parts that arrived add to the meter is taken back.
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
