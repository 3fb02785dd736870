// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/adapter.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

struct ContentIdOptions {
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the tensors.
  unsigned threads = 1;
};

/// Names what an adapter is, whatever it is written in: 64 hexadecimal digits that survive another
/// container, file order, metadata, card, config spelling, PEFT release and base path, and that any
/// bit of a tensor, any dtype, shape or key, and any meaning of the config changes. A SHA-256;
/// docs/content-id.md defines it to the byte. May be called from any number of threads at once.
FERRULE_API std::string content_id(const Adapter& adapter, const ContentIdOptions& options = {});

}  // namespace ferrule
