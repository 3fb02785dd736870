// SPDX-License-Identifier: Apache-2.0
#include "rescue/torch_pieces.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/file_kind.hpp"
#include "ferrule/text.hpp"

namespace ferrule::rescues {

Piece piece_of(Sources& sources, std::size_t source, std::uint64_t base,
               const format::TorchObject& object, const format::TorchTensor& tensor) {
  const auto& storage = object.storage(tensor.storage);
  Piece piece{.source = source,
              .offsets = std::vector<std::uint64_t>(tensor.stored_shape.size(), 0),
              .sizes = tensor.stored_shape,
              .is_range = false,
              .start = base + storage.file_offset + tensor.offset};
  if (!tensor.is_contiguous) piece.strides = tensor.strides;
  piece.record = sources.add_record({.source = source,
                                     .offset = base + storage.file_offset,
                                     .bytes = storage.bytes,
                                     .crc32 = storage.crc32,
                                     .name = "data/" + storage.key});
  return piece;
}

Result<TorchState> TorchState::open(Sources& sources, const std::filesystem::path& path,
                                    format::PicklePolicy policy) {
  TorchState state;
  FERRULE_TRY(state.source_, sources.open(path));
  state.path_ = path;
  const WindowSource whole(sources, state.source_, 0, sources.size(state.source_));
  auto object = format::TorchObject::read(whole, {}, policy);
  if (!object) return base::at(std::move(object).error(), path.string());
  state.object_ = std::make_shared<format::TorchObject>(*std::move(object));
  return state;
}

Result<TorchState> TorchState::open_at(Sources& sources, const std::filesystem::path& path,
                                       std::uint64_t offset, std::uint64_t bytes) {
  TorchState state;
  FERRULE_TRY(state.source_, sources.open(path));
  state.path_ = path;
  state.base_ = offset;
  const WindowSource part(sources, state.source_, offset, bytes);
  auto object = format::TorchObject::read(part, {}, format::PicklePolicy::kTrainer);
  if (!object) return base::at(std::move(object).error(), path.string());
  state.object_ = std::make_shared<format::TorchObject>(*std::move(object));
  return state;
}

Result<FoundTensor> TorchState::tensor(Sources& sources, std::string_view name,
                                       const format::PickleValue& value) const {
  auto found = object_->tensor(value);
  if (!found) {
    auto error = std::move(found).error();
    error.message = quote(name) + " " + error.message;
    return base::at(std::move(error), path_.string());
  }
  FoundTensor tensor{.name = std::string(name),
                     .dtype = found->dtype,
                     .stored = found->dtype,
                     .shape = found->shape};
  if (element_count(found->shape).value_or(0) != 0) {
    tensor.pieces.push_back(piece_of(sources, source_, base_, *object_, *found));
  }
  return tensor;
}

Result<std::optional<double>> TorchState::number(Sources& sources,
                                                 const format::PickleValue& value) const {
  using Kind = format::PickleValue::Kind;
  if (value.kind == Kind::kInt) return std::optional<double>(static_cast<double>(value.integer));
  if (value.kind == Kind::kFloat) return std::optional<double>(value.real);
  if (value.kind != Kind::kCall) return std::optional<double>();
  const auto tensor = object_->tensor(value);
  if (!tensor || element_count(tensor->shape).value_or(0) != 1) return std::optional<double>();
  std::array<std::byte, 8> bytes{};
  const auto wanted = std::span(bytes).first(static_cast<std::size_t>(tensor->item_bytes));
  FERRULE_CHECK(sources.read_at(
      source_, base_ + object_->storage(tensor->storage).file_offset + tensor->offset, wanted));
  const auto load = [&]<typename T>(T number) {
    std::memcpy(&number, bytes.data(), sizeof number);
    return std::optional<double>(static_cast<double>(number));
  };
  switch (tensor->dtype) {
    case Dtype::kF32:
      return load(float{});
    case Dtype::kF64:
      return load(double{});
    case Dtype::kI64:
      return load(std::int64_t{});
    case Dtype::kI32:
      return load(std::int32_t{});
    default:
      return std::optional<double>();
  }
}

Error TorchState::bad(std::string_view rule, std::string message) const {
  return base::at(base::corrupt(rule, std::move(message)), path_.string());
}

bool is_tensor(const format::PickleView& view, const format::PickleValue& value) noexcept {
  const auto* maker = view.made_by(value);
  if (maker == nullptr) return false;
  switch (maker->facts.id) {
    case format::GlobalId::kRebuildTensor:
    case format::GlobalId::kRebuildTensorV2:
    case format::GlobalId::kRebuildTensorV3:
    case format::GlobalId::kRebuildParameter:
    case format::GlobalId::kRebuildParameterWithState:
    case format::GlobalId::kRefusedTensor:
      return true;
    default:
      return false;
  }
}

std::optional<format::PickleValue> state_of_subclass(const format::PickleView& view,
                                                     const format::PickleValue& value,
                                                     std::string_view type) {
  if (!view.is_made_by(value, "torch._tensor", "_rebuild_from_type_v2")) return std::nullopt;
  // (how to make it, its class, the arguments, its state)
  const auto arguments = view.arguments(value);
  const auto* found = arguments.size() == 4 ? view.global(arguments[1]) : nullptr;
  if (found == nullptr || found->name != type) return std::nullopt;
  return arguments[3];
}

}  // namespace ferrule::rescues
