// SPDX-License-Identifier: Apache-2.0
#include "ferrule/rescue.hpp"

#include <utility>

#include "base/try.hpp"
#include "rescue/steps.hpp"
#include "rescue/writing.hpp"

namespace ferrule {

Result<RescueReport> rescue(const std::filesystem::path& checkpoint,
                            const std::filesystem::path& output, const RescueOptions& options) {
  FERRULE_TRY(const auto steps, rescues::find_steps(checkpoint, options.prefer));
  return rescues::write_adapter(steps, {.checkpoint = checkpoint,
                                        .output = output,
                                        .config = options.config,
                                        .adapter = options.adapter,
                                        .durability = options.durability});
}

}  // namespace ferrule
