// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/dialect.hpp"
#include "exchange/dialects/image/model_names.hpp"

namespace ferrule::exchange {

/// The components of an adapter's sites, in the words of a pipeline: those of a plain adapter by
/// the base's class, else by names that only one kind of model has.
class SiteComponents {
 public:
  SiteComponents(const Middle& middle, const BaseFacts& base);

  /// "" if nothing says it.
  std::string of(const Site& site) const;

 private:
  /// Of sites whose own names do not say it.
  std::string usual_;
};

/// The transformer that the sites are of, as the base, --arch or names say that only it has. Null
/// if nothing says it.
const ImageModel* model_of_sites(const std::string& component, std::span<const Site> sites,
                                 const Request& request);

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
Result<std::vector<Site>> join_original(std::vector<Site>& sites, const ImageModel& model,
                                        Ledger& ledger);

}  // namespace ferrule::exchange
