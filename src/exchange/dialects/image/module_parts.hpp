// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "exchange/dialects/image/raw_modules.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// EX-8 about that module: "module "lora_unet_x" has ...".
Error bad(const RawModule& module, const std::string& what);

/// The method that a part is of whose tensors are not read, with the reason; "" for an unknown
/// part.
std::string_view method_of_part(std::string_view leaf);

/// Beside alpha the module has these unread parts alone.
bool is_made_of(const RawModule& module, std::initializer_list<std::string_view> parts);

/// alpha, if the module has one. Fails with kCorrupt (EX-8) if it is not one finite number.
Result<std::optional<double>> alpha_in(const RawModule& module);

/// The number that an unread part of the module is. Fails as alpha_in().
Result<double> number_in(const RawModule& module, std::string_view leaf);

/// The site's magnitude of DoRA, if the module has one: a number for each row. Fails with
/// kUnsupported (EX-3: it is by columns) or kCorrupt (EX-8).
Result<void> take_magnitude(const RawModule& module, std::uint64_t rows, Site& site);

/// Sets the scale to alpha / rank, or 1 without an alpha.
void set_scale(Site& site, const std::optional<double>& alpha);

/// Rows of the second half first.
Values swapped_halves(const Values& values, std::size_t axis = 0);

/// A with a Tucker core `mid` [rank, inner, kernel] multiplied in: [rank, in, kernel] from `a`
/// [inner, in, 1, 1]. Computed in double and stored as F32. Fails with kCorrupt (EX-8) or
/// kLimitExceeded (EX-8).
Result<Values> with_core(const std::string& module, const Values& mid, const Values& a);

/// A matrix of ones on the diagonal. Fails with kLimitExceeded (EX-8).
Result<Values> identity_of(const std::string& module, std::uint64_t rank, Dtype dtype);

}  // namespace ferrule::exchange
