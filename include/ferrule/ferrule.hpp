// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/adapter.hpp"             // IWYU pragma: export
#include "ferrule/adapter_config.hpp"      // IWYU pragma: export
#include "ferrule/base_model.hpp"          // IWYU pragma: export
#include "ferrule/check.hpp"               // IWYU pragma: export
#include "ferrule/checkpoint.hpp"          // IWYU pragma: export
#include "ferrule/content_id.hpp"          // IWYU pragma: export
#include "ferrule/convert.hpp"             // IWYU pragma: export
#include "ferrule/diff.hpp"                // IWYU pragma: export
#include "ferrule/dtype.hpp"               // IWYU pragma: export
#include "ferrule/durability.hpp"          // IWYU pragma: export
#include "ferrule/error.hpp"               // IWYU pragma: export
#include "ferrule/explain.hpp"             // IWYU pragma: export
#include "ferrule/finding.hpp"             // IWYU pragma: export
#include "ferrule/fix.hpp"                 // IWYU pragma: export
#include "ferrule/inspect.hpp"             // IWYU pragma: export
#include "ferrule/json.hpp"                // IWYU pragma: export
#include "ferrule/model_facts.hpp"         // IWYU pragma: export
#include "ferrule/normalize.hpp"           // IWYU pragma: export
#include "ferrule/pickle_scan.hpp"         // IWYU pragma: export
#include "ferrule/read_limits.hpp"         // IWYU pragma: export
#include "ferrule/result.hpp"              // IWYU pragma: export
#include "ferrule/safetensors_file.hpp"    // IWYU pragma: export
#include "ferrule/safetensors_writer.hpp"  // IWYU pragma: export
#include "ferrule/save_pretrained.hpp"     // IWYU pragma: export
#include "ferrule/targeting.hpp"           // IWYU pragma: export
#include "ferrule/tensor_source.hpp"       // IWYU pragma: export
#include "ferrule/tensor_view.hpp"         // IWYU pragma: export
#include "ferrule/text.hpp"                // IWYU pragma: export
#include "ferrule/text_file.hpp"           // IWYU pragma: export
#include "ferrule/torch_file.hpp"          // IWYU pragma: export
#include "ferrule/torch_writer.hpp"        // IWYU pragma: export
#include "ferrule/version.hpp"             // IWYU pragma: export
#include "ferrule/written_file.hpp"        // IWYU pragma: export
