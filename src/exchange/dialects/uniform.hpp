// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "exchange/dialect.hpp"
#include "exchange/fold.hpp"
#include "exchange/middle.hpp"

namespace ferrule::exchange {

/// One rank and one strength for all modules, for programs that have no other place for them: ranks
/// are padded with zeros to the largest, strengths that differ from the most common one go into B.
class Uniform {
 public:
  Uniform(std::span<const Site> sites, const Request& request);
  /// The same with a strength that the program dictates.
  Uniform(std::span<const Site> sites, const Request& request, double scale);

  std::uint64_t rank() const noexcept { return rank_; }
  double scale() const noexcept { return scale_; }
  /// scale times rank, so that alpha / rank is exactly scale.
  double alpha() const noexcept { return alpha_; }

  /// A [rank, in] and B [out, rank] of that site. Fails as fold() does.
  Result<Folded> factors(const Site& site, Ledger& ledger) const;

 private:
  std::uint64_t rank_ = 1;
  double scale_ = 1;
  double alpha_ = 1;
  std::string dtype_;
};

/// A tensor of the output, with what the ledger has to know: a new name, another dtype. `key` is
/// empty for all but the first tensor of a site.
TensorStream written(const Values& values, std::string name, const std::string& key,
                     const Request& request, Ledger& ledger);

/// Writes the `bytes` bytes of a tensor, in pieces.
Result<void> write_stream(io::OutputFile& out, const TensorStream& tensor, std::uint64_t bytes);

}  // namespace ferrule::exchange
