// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/module_parts.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::uint64_t kMaxCoreElements = std::uint64_t{1} << 28;
constexpr std::uint64_t kMaxIdentity = 1 << 15;

template <typename T>
double loaded(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return static_cast<double>(value);
}

/// The tensor's only element; nullopt if it has more or is of a type that numbers are not kept in.
std::optional<double> one_number(const TensorView& tensor) {
  const auto bytes = tensor.bytes();
  const auto values = Values::of(tensor);
  if (values.element_count() != 1) return std::nullopt;
  switch (tensor.dtype()) {
    case Dtype::kF64:
    case Dtype::kF32:
    case Dtype::kF16:
    case Dtype::kBF16:
      return values.all().front();
    case Dtype::kI64:
      return loaded<std::int64_t>(bytes);
    case Dtype::kI32:
      return loaded<std::int32_t>(bytes);
    case Dtype::kI16:
      return loaded<std::int16_t>(bytes);
    case Dtype::kI8:
      return loaded<std::int8_t>(bytes);
    case Dtype::kU8:
    case Dtype::kBool:
      return loaded<std::uint8_t>(bytes);
    default:
      return std::nullopt;
  }
}

struct Method {
  std::string_view leaf;
  std::string_view name;
};
constexpr std::string_view kRotation =
    "OFT of LyCORIS (it rotates rows of the weight; OFT and BOFT of PEFT rotate its columns)";
constexpr std::string_view kGlora = "GLoRA with a core of a convolution";
constexpr std::string_view kTimed =
    "T-LoRA of LyCORIS (it subtracts what it started from, which is not in the file)";
constexpr std::string_view kNorm = "differences of norms";
constexpr Method kUnread[] = {
    {"a1", kGlora},
    {"a2", kGlora},
    {"b1", kGlora},
    {"b2", kGlora},
    {"bm", kGlora},
    {"oft_blocks", kRotation},
    {"oft_diag",
     "OFT of kohya-ss (it rotates rows of the weight; OFT of PEFT rotates its columns)"},
    {"rescale", kRotation},
    {"p_layer", kTimed},
    {"q_layer", kTimed},
    {"lambda_layer", kTimed},
    {"w_norm", kNorm},
    {"b_norm", kNorm},
    {"on_input", "IA3 of LyCORIS without its vector"},
    {"weight", "IA3 of LyCORIS that does not say what it scales"}};

}  // namespace

Error bad(const RawModule& module, const std::string& what) {
  return base::corrupt("EX-8", "module " + quote(module.name) + " " + what);
}

std::string_view method_of_part(std::string_view leaf) {
  for (const auto& [known, name] : kUnread) {
    if (leaf.starts_with(known)) return name;
  }
  return {};
}

bool is_made_of(const RawModule& module, std::initializer_list<std::string_view> parts) {
  const std::size_t alpha = module.leaves.contains("alpha") ? 1 : 0;
  return module.leaves.size() == alpha && module.unread.size() == parts.size() &&
         std::all_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return module.unread.contains(part); });
}

/// alpha, if the module has one.
Result<std::optional<double>> alpha_in(const RawModule& module) {
  const auto* tensor = module.find("alpha");
  if (tensor == nullptr) return std::optional<double>();
  const auto alpha = one_number(*tensor);
  if (!alpha || !std::isfinite(*alpha)) {
    return bad(module, "has an alpha of " + std::string(dtype_name(tensor->dtype())) +
                           " and shape " + base::shape_text(tensor->shape()) +
                           " that is not one finite number");
  }
  return alpha;
}

Result<double> number_in(const RawModule& module, std::string_view leaf) {
  const auto found = module.unread.find(leaf);
  const auto number = found == module.unread.end() ? std::nullopt : one_number(found->second);
  if (!number || !std::isfinite(*number)) {
    return bad(module, "has no finite number as its " + std::string(leaf));
  }
  return *number;
}

Result<void> take_magnitude(const RawModule& module, std::uint64_t rows, Site& site) {
  const auto* tensor = module.find("dora_scale");
  if (tensor == nullptr) tensor = module.find("magnitude");
  if (tensor == nullptr) return {};
  const auto values = Values::of(*tensor);
  const auto& shape = values.shape();
  const bool peft_conv = module.find("magnitude") != nullptr && shape.size() > 2;
  if (!peft_conv && shape.size() > 1 && shape[0] == 1 && values.element_count() > 1) {
    return base::unsupported("EX-3", "module " + quote(module.name) + " has a magnitude of shape " +
                                         base::shape_text(shape) +
                                         ": it scales columns of the weight, as LyCORIS did before "
                                         "wd_on_out, and PEFT's DoRA scales rows");
  }
  if (values.element_count() != rows) {
    return bad(module, "has a magnitude of shape " + base::shape_text(shape) + " for " +
                           std::to_string(rows) + " rows");
  }
  site.magnitude = values.reshaped({rows});
  return {};
}

void set_scale(Site& site, const std::optional<double>& alpha) {
  site.alpha = alpha ? *alpha : static_cast<double>(site.rank);
  site.scale = alpha ? *alpha / static_cast<double>(site.rank) : 1;
}

Values swapped_halves(const Values& values, std::size_t axis) {
  const auto half = values.dim(axis) / 2;
  const Values parts[] = {values.slice(axis, half, half), values.slice(axis, 0, half)};
  return Values::concatenated(parts, axis);
}

Result<Values> with_core(const std::string& module, const Values& mid, const Values& a) {
  const auto fail = [&] {
    return base::corrupt("EX-8", "module " + quote(module) + " has a core of shape " +
                                     base::shape_text(mid.shape()) +
                                     " that does not fit a factor of shape " +
                                     base::shape_text(a.shape()));
  };
  if (mid.shape().size() < 3 || mid.element_count() == 0 || mid.dim(1) != a.dim(0) ||
      a.element_count() != a.dim(0) * a.dim(1)) {
    return fail();
  }
  const auto rank = mid.dim(0), inner = mid.dim(1), in = a.dim(1);
  const auto points = mid.element_count() / rank / inner;
  if (in > kMaxCoreElements / rank / points) {
    return base::over_limit("EX-8", "module " + quote(module) + " has a core of shape " +
                                        base::shape_text(mid.shape()) +
                                        ", which makes too large a factor");
  }
  const auto core = mid.all(), factor = a.all();
  std::vector<double> out(static_cast<std::size_t>(rank * in * points));
  for (std::uint64_t m = 0; m < rank; ++m) {
    for (std::uint64_t n = 0; n < inner; ++n) {
      for (std::uint64_t j = 0; j < in; ++j) {
        const double value = factor[n * in + j];
        for (std::uint64_t k = 0; k < points; ++k) {
          out[(m * in + j) * points + k] += core[(m * inner + n) * points + k] * value;
        }
      }
    }
  }
  Shape shape = {rank, in};
  shape.insert(shape.end(), mid.shape().begin() + 2, mid.shape().end());
  return Values::owned(std::move(out), std::move(shape),
                       a.dtype() == Dtype::kF64 ? Dtype::kF64 : Dtype::kF32);
}

Result<Values> identity_of(const std::string& module, std::uint64_t rank, Dtype dtype) {
  if (rank > kMaxIdentity) {
    return base::over_limit("EX-8", "module " + quote(module) + " has a difference of rank " +
                                        std::to_string(rank) + ", which is too much for factors");
  }
  const auto one = Values::owned({1.0}, {1, 1}, dtype);
  return Values::block_diagonal(std::vector<Values>(static_cast<std::size_t>(rank), one));
}

}  // namespace ferrule::exchange
