// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/merge.hpp"
#include "ferrule/result.hpp"
#include "merge/base_files.hpp"
#include "merge/model_text.hpp"
#include "merge/plan.hpp"
#include "merge/shard_writer.hpp"

namespace ferrule::merging {

/// The files that come out.
struct OutputPlan {
  std::vector<OutputShard> shards;  ///< Parallel to BaseFiles::weights().
  std::string index_text;           ///< Empty if the base's own will do.
  ConfigChange config;
};

/// nullopt for kKeep.
std::optional<Dtype> dtype_of(MergeDtype dtype);

/// `config` is the base's.
Result<OutputPlan> plan_output(const BaseFiles& files, const MergePlan& plan, const Json& config,
                               MergeDtype dtype);

/// The shard for the report.
MergedFile describe(const OutputShard& shard);

}  // namespace ferrule::merging
