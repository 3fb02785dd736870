// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/adapter.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

/// Names what an adapter is, whatever it is written in: 64 hexadecimal digits that survive another
/// container, file order, metadata, card, config spelling, PEFT release and base path, and that any
/// bit of a tensor, any dtype, shape or key, and any meaning of the config changes. A SHA-256;
/// docs/content-id.md defines it to the byte. Tensors are hashed on up to `threads` threads (0: as
/// many as there are cores).
FERRULE_API std::string content_id(const Adapter& adapter, unsigned threads = 0);

}  // namespace ferrule
