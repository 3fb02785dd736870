// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

namespace engine {
namespace {

using ferrule::Dtype;
using ferrule::Error;
using ferrule::ErrorCode;
using ferrule::Result;

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0) {  // Zero or subnormal: a multiple of 2^-24.
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t widened = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

/// Files promise no alignment, so elements are copied out.
template <typename T>
std::vector<float> converted(const ferrule::TensorView& tensor, float (*convert)(T)) {
  std::vector<float> values(static_cast<std::size_t>(tensor.element_count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T bits;
    std::memcpy(&bits, tensor.bytes().data() + i * sizeof(T), sizeof(T));
    values[i] = convert(bits);
  }
  return values;
}

Result<std::vector<float>> to_floats(const ferrule::AdapterTensor& from) {
  switch (from.tensor.dtype()) {
    case Dtype::kF32:
      return converted<float>(from.tensor, [](float value) { return value; });
    case Dtype::kBF16:
      return converted<std::uint16_t>(from.tensor, from_bf16);
    case Dtype::kF16:
      return converted<std::uint16_t>(from.tensor, from_f16);
    default:
      return Error{.code = ErrorCode::kUnsupported,
                   .message = "this engine serves F32, F16 and BF16, found " +
                              std::string(ferrule::dtype_name(from.tensor.dtype())),
                   .path = std::string(from.key)};
  }
}

Result<Update> update_of(const ferrule::AdapterModule& module) {
  const auto* a = module.find("lora_A");
  const auto* b = module.find("lora_B");
  if (a == nullptr || b == nullptr || module.tensors().size() != 2 ||
      a->tensor.shape().size() != 2) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = "this engine serves plain LoRA on linear layers",
                 .path = std::string(module.path())};
  }
  auto a_values = to_floats(*a);
  if (!a_values) return a_values.error();
  auto b_values = to_floats(*b);
  if (!b_values) return b_values.error();
  // Their shapes agree: an adapter in which they do not does not open.
  Update update{.rank = a->tensor.shape()[0],
                .in = a->tensor.shape()[1],
                .out = b->tensor.shape()[0],
                .a = *std::move(a_values),
                .b = *std::move(b_values)};
  const auto strength = static_cast<float>(module.strength());
  for (auto& value : update.b) value *= strength;
  update.sum = sum_of(update);
  return update;
}

}  // namespace

std::vector<float> run(const Update& update, const std::vector<float>& x) {
  std::vector<float> y(static_cast<std::size_t>(update.out));
  std::vector<float> low(static_cast<std::size_t>(update.rank));
  for (std::size_t r = 0; r < low.size(); ++r) {
    for (std::size_t i = 0; i < x.size() && i < update.in; ++i) {
      low[r] += update.a[r * update.in + i] * x[i];
    }
  }
  for (std::size_t o = 0; o < y.size(); ++o) {
    for (std::size_t r = 0; r < low.size(); ++r) y[o] += update.b[o * low.size() + r] * low[r];
  }
  return y;
}

float sum_of(const Update& update) {
  const float a = std::accumulate(update.a.begin(), update.a.end(), 0.0F);
  return std::accumulate(update.b.begin(), update.b.end(), a);
}

Result<Served> Store::stage(const std::filesystem::path& path) const {
  // Refused here: what cannot be read, and what breaks a rule. The files may be a stranger's, and
  // may be cut short while they are read: no mapping.
  const auto adapter = ferrule::Adapter::open(path, {.backing = ferrule::Backing::kCopy});
  if (!adapter) return adapter.error();
  // And here: what this base has no place for, and values that are not finite.
  const auto report = ferrule::check(*adapter, base_, {.values = true});
  if (!report) return report.error();
  if (!report->good()) {
    const auto& worst = report->findings.front();
    return Error{.code = ErrorCode::kCorrupt,
                 .rule = worst.rule,
                 .message = worst.message,
                 .path = path.string()};
  }
  Served served;
  for (const auto& module : adapter->modules()) {
    auto update = update_of(module);
    if (!update) return update.error();
    served.modules.emplace(module.path(), *std::move(update));
  }
  return served;
}

Result<std::size_t> Store::admit(const std::string& name, const std::filesystem::path& path) {
  auto served = stage(path);
  if (!served) return served.error();
  const auto count = served->modules.size();
  auto next = std::make_unique<Table>(table_.current());
  (*next)[name] = std::make_shared<const Served>(*std::move(served));
  std::erase(order_, name);
  order_.push_back(name);
  if (order_.size() > slots_) {
    next->erase(order_.front());
    order_.erase(order_.begin());
  }
  table_.publish(std::move(next));
  return count;
}

bool Store::evict(const std::string& name) {
  if (std::erase(order_, name) == 0) return false;
  auto next = std::make_unique<Table>(table_.current());
  next->erase(name);
  table_.publish(std::move(next));
  return true;
}

}  // namespace engine
