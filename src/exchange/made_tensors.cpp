// SPDX-License-Identifier: Apache-2.0
#include "exchange/made_tensors.hpp"

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {

Result<void> MadeTensors::add(const TensorStream& stream) {
  if (!stream.read) {
    if (stream.owner) owners_.push_back(stream.owner);
    return tensors_.add(stream.name, stream.dtype, stream.shape, stream.bytes);
  }
  auto& bytes = bytes_.emplace_back();
  const auto size = byte_size(stream.dtype, stream.shape);
  if (!size) return base::corrupt("EX-8", "tensor " + quote(stream.name) + " is too large");
  bytes.resize(static_cast<std::size_t>(*size));
  FERRULE_CHECK(stream.read(0, bytes));
  return tensors_.add(stream.name, stream.dtype, stream.shape, bytes);
}

}  // namespace ferrule::exchange
