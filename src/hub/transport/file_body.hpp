// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ferrule/result.hpp"
#include "hub/transport/http_message.hpp"
#include "hub/transport/meter.hpp"
#include "io/input_file.hpp"

namespace ferrule::hub {

/// A piece of a file as the body of a request. The meter, if there is one, counts the bytes.
class FileBody final : public Body {
 public:
  FileBody(const io::InputFile& file, std::uint64_t begin, std::uint64_t size, Meter* meter)
      : file_(file), begin_(begin), size_(size), meter_(meter) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read(std::span<std::byte> out) override;
  Result<void> rewind() override;

 private:
  const io::InputFile& file_;
  std::uint64_t begin_;
  std::uint64_t size_;
  std::uint64_t at_ = 0;
  Meter* meter_;
};

}  // namespace ferrule::hub
