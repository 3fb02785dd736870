// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"

namespace ferrule::cli {

/// Adds every command to `root`, in the order in which help lists them.
void add_commands(Arguments& root);

// Each adds its arguments and its action to `command`.
void add_assemble(Arguments& command);
void add_check(Arguments& command);
void add_clean(Arguments& command);
void add_combine(Arguments& command);
void add_config(Arguments& command);
void add_convert(Arguments& command);
void add_diff(Arguments& command);
void add_explain(Arguments& command);
void add_extract(Arguments& command);
void add_fix(Arguments& command);
void add_help(Arguments& command, const Arguments& root);
void add_id(Arguments& command);
void add_inspect(Arguments& command);
void add_merge(Arguments& command);
void add_normalize(Arguments& command);
void add_publish(Arguments& command);
void add_rescue(Arguments& command);
void add_resize(Arguments& command);
void add_save(Arguments& command);
void add_scan(Arguments& command);
void add_state_dict(Arguments& command);
void add_to_lora(Arguments& command);
void add_unmerge(Arguments& command);
void add_verify(Arguments& command);
#ifdef FERRULE_HAS_HUB
void add_pull(Arguments& command);
void add_push(Arguments& command);
#endif

}  // namespace ferrule::cli
