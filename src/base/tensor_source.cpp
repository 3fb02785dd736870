// SPDX-License-Identifier: Apache-2.0
#include "ferrule/tensor_source.hpp"

#include <deque>
#include <unordered_map>

#include "base/errors.hpp"
#include "ferrule/text.hpp"

namespace ferrule {

TensorSource::~TensorSource() = default;

Result<FileRange> TensorSource::range(std::string_view name) const {
  if (!find(name)) return base::not_found("there is no tensor " + quote(name));
  return base::unsupported("tensor " + quote(name) + " is in memory, not in a file");
}

struct StateDict::Rep {
  // Deques do not move their elements, so the views in `tensors` stay valid while it grows.
  std::deque<std::string> names;
  std::deque<std::vector<std::uint64_t>> shapes;
  std::vector<NamedTensor> tensors;
  std::unordered_map<std::string_view, std::size_t> index;
};

StateDict::StateDict() : rep_(std::make_unique<Rep>()) {}
StateDict::StateDict(StateDict&&) noexcept = default;
StateDict& StateDict::operator=(StateDict&&) noexcept = default;
StateDict::~StateDict() = default;

Result<void> StateDict::add(std::string name, Dtype dtype, std::span<const std::uint64_t> shape,
                            std::span<const std::byte> bytes) {
  if (rep_->index.contains(name)) {
    return base::invalid("tensor " + quote(name) + " was added twice");
  }
  const auto& kept_shape = rep_->shapes.emplace_back(shape.begin(), shape.end());
  auto view = TensorView::make(dtype, kept_shape, bytes);
  if (!view) {
    rep_->shapes.pop_back();
    auto error = std::move(view).error();
    error.message = "tensor " + quote(name) + ": " + error.message;
    return error;
  }
  const auto& kept_name = rep_->names.emplace_back(std::move(name));
  rep_->index.emplace(kept_name, rep_->tensors.size());
  rep_->tensors.push_back({kept_name, *view});
  return {};
}

std::span<const NamedTensor> StateDict::tensors() const& noexcept { return rep_->tensors; }

std::optional<TensorView> StateDict::find(std::string_view name) const& noexcept {
  const auto found = rep_->index.find(name);
  if (found == rep_->index.end()) return std::nullopt;
  return rep_->tensors[found->second].tensor;
}

std::span<const TensorAlias> StateDict::aliases() const& noexcept { return {}; }

}  // namespace ferrule
