// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchange/dialect.hpp"
#include "exchange/dialects/image/base_weights.hpp"
#include "exchange/dialects/image/module_finder.hpp"
#include "exchange/dialects/image/raw_modules.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// Turns the tensors of modules into sites of a Middle.
///
/// LoRA, DoRA, LoHa and LoKr stay what they are. A Tucker core is multiplied into A, a whole
/// difference (`diff`) is LoRA of full rank with an identity, `diff_b` a bias of LoRA. alpha is
/// divided by the rank; without one the strength is 1, as in every program that reads such files.
/// Of a LoKr with two whole factors alpha says nothing. With the base's weights GLoRA becomes LoRA,
/// and IA3 of LyCORIS that of PEFT.
class SiteReader {
 public:
  /// `usual_alpha`: of LoRA without an alpha of its own. `out` and `base` outlive the reader.
  SiteReader(Middle& out, BaseWeights& base, std::optional<double> usual_alpha = {})
      : out_(out), base_(base), usual_alpha_(usual_alpha) {}

  /// Fails with kCorrupt (EX-8: parts that are missing or do not fit) or kUnsupported (EX-3: DoRA
  /// by columns, a method on fused modules; EX-11: the base has another shape there).
  Result<void> add(const RawModule& module, const Placed& placed);

  /// Lists the tensors of a module that change nothing: differences that are zero everywhere, as
  /// trainers and extractors write them for norms. False if it is of another kind.
  bool ignore_zeros(const RawModule& module);

  /// A site for the difference of a norm, which no dialect can hold. False if it is none.
  bool add_norm(const RawModule& module);

 private:
  Result<void> add_lora(const RawModule& module, const Placed& placed);
  Result<void> add_diff(const RawModule& module, const Placed& placed);
  Result<void> add_hada(const RawModule& module, const Placed& placed);
  Result<void> add_lokr(const RawModule& module, const Placed& placed);
  Result<void> add_whole(const RawModule& module, const Placed& placed);
  Result<void> add_bias_alone(const RawModule& module, const Placed& placed);
  Result<void> add_unread(const RawModule& module, const Placed& placed, std::string method);
  Result<void> add_glora(const RawModule& module, const Placed& placed);
  Result<void> add_scaling(const RawModule& module, const Placed& placed);
  Result<void> add_kept(const RawModule& module, const Placed& placed, Site site);
  Result<void> add_kept_parts(const RawModule& module, const Placed& placed, const Site& whole,
                              std::array<std::uint64_t, 2> size);
  Result<void> add_kronecker_parts(const RawModule& module, const Placed& placed,
                                   const Site& whole);
  /// Magnitude and bias, the base's shape, and one site for each of the modules.
  Result<void> finish(const RawModule& module, const Placed& placed, Site site);
  Result<void> add_embedding(const RawModule& module, Site site);
  Result<void> add_parts(const Placed& placed, const Site& whole);

  Middle& out_;
  BaseWeights& base_;
  std::optional<double> usual_alpha_;
};

/// A whole file: every module found and read. `owner` keeps the tensors alive.
Result<Middle> read_image_file(const std::shared_ptr<const TensorSource>& tensors,
                               const Metadata& metadata, const Request& request);

}  // namespace ferrule::exchange
