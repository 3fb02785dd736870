// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exchange/dialect.hpp"
#include "exchange/dialects/image/fused_names.hpp"

namespace ferrule::exchange {

/// The component of a site of a plain adapter, in the words of a pipeline: by the base's class,
/// else by names that only one kind of model has; "" if neither says it.
std::string component_for(const Site& site, const BaseFacts& base);

/// Tensors of one file, and what became of the source's.
class ImageFile {
 public:
  ImageFile(const Request& request, Ledger& ledger) : request_(request), ledger_(ledger) {}

  /// `source` is a key of the source for the ledger, or "".
  void add(const Values& values, const std::string& name, const std::string& source);
  /// A number without dimensions, as F32.
  void add_number(double value, const std::string& name);
  std::vector<TensorStream> take() { return std::move(tensors_); }

 private:
  const Request& request_;
  Ledger& ledger_;
  std::vector<TensorStream> tensors_;
};

/// Sites of one component in the modules of the model's original code: projections that are one
/// weight there are joined again. Those that share A keep its rank, others get rows and columns of
/// their own. Sites whose modules have other names are left in `sites`.
///
/// Fails with kUnsupported (EX-3) if only some of the joined modules have magnitudes, or methods
/// that cannot be joined; EX-8 if their sizes do not belong together.
Result<std::vector<Site>> join_original(std::vector<Site>& sites, Original original,
                                        Ledger& ledger);

}  // namespace ferrule::exchange
