// SPDX-License-Identifier: Apache-2.0
#include "rescue/dtensor.hpp"

#include <algorithm>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {
namespace {

using format::PickleValue;
using format::PickleView;

constexpr std::uint64_t kMaxMesh = 1 << 20;

class DtensorReader {
 public:
  DtensorReader(const TorchState& file, std::string_view name)
      : file_(file), view_(file.view()), name_(name) {}

  Result<std::optional<LocalShard>> read(const PickleValue& given) {
    PickleValue value = given;
    if (view_.is_made_by(value, "torch._utils", "_rebuild_parameter") &&
        !view_.arguments(value).empty()) {
      value = view_.arguments(value)[0];
    }
    const auto state = state_of_subclass(view_, value, "DTensor");
    if (!state) return std::optional<LocalShard>();
    const auto attributes = attributes_of(*state);
    const auto local = attributes ? view_.find(*attributes, "_local_tensor") : std::nullopt;
    const auto spec = attributes ? view_.find(*attributes, "_spec") : std::nullopt;
    if (!local || !spec) return bad("RS-16", "is a DTensor of an unknown form");
    return place(*local, *spec);
  }

 private:
  /// The last argument is the attributes, or a pair of slots that ends with them.
  std::optional<PickleValue> attributes_of(const PickleValue& state) const {
    if (view_.is_dict(state)) return state;
    const auto both = view_.items(state);
    if (both.size() == 2 && view_.is_dict(both[1])) return both[1];
    return std::nullopt;
  }

  Result<std::optional<LocalShard>> place(const PickleValue& local, const PickleValue& spec) {
    LocalShard shard;
    shard.local = local;
    const auto tensor = file_.object().tensor(local);
    if (!tensor) return bad("RS-16", tensor.error().message);
    shard.dtype = tensor->dtype;
    FERRULE_TRY(shard.shape, global_shape(spec));
    FERRULE_TRY(const auto mesh, mesh_of(spec, shard.shape.size()));
    for (const auto& dimension : mesh) shard.mesh_size *= dimension.size;
    place_shard(mesh, shard);
    if (tensor->shape == shard.sizes) return std::optional<LocalShard>(std::move(shard));
    // A rank without rows may keep an empty tensor of another shape.
    const bool both_empty = element_count(tensor->shape).value_or(1) == 0 &&
                            element_count(shard.sizes).value_or(1) == 0;
    if (both_empty) return std::optional<LocalShard>(std::move(shard));
    return bad("RS-4", "is a DTensor of " + base::shape_text(shard.shape) +
                           ", whose part here should be " + base::shape_text(shard.sizes) +
                           " and is " + base::shape_text(tensor->shape));
  }

  Result<std::vector<std::uint64_t>> global_shape(const PickleValue& spec) const {
    const auto meta = view_.attribute(spec, "tensor_meta");
    const auto arguments = meta ? view_.arguments(*meta) : std::span<const PickleValue>();
    auto shape = arguments.empty() ? std::nullopt : view_.counts(arguments[0]);
    if (!shape && meta) {
      const auto value = view_.attribute(*meta, "shape");
      if (value) shape = view_.counts(*value);
    }
    if (!shape || shape->size() > kMaxRank || !byte_size(Dtype::kF64, *shape)) {
      return bad("RS-16", "is a DTensor without a valid shape");
    }
    return *std::move(shape);
  }

  Result<std::vector<MeshDimension>> mesh_of(const PickleValue& spec, std::size_t rank) const {
    const auto device_mesh = view_.attribute(spec, "mesh");
    const auto placements = view_.attribute(spec, "placements");
    if (!device_mesh || !placements || !view_.is_sequence(*placements)) {
      return bad("RS-16", "is a DTensor without a mesh or placements");
    }
    const auto list = view_.items(*placements);
    auto sizes = mesh_sizes(*device_mesh);
    const auto coordinate = view_.attribute(*device_mesh, "_coordinate_on_dim");
    const auto coordinates = coordinate ? view_.counts(*coordinate) : std::nullopt;
    if (!sizes || !coordinates || sizes->size() != list.size() ||
        coordinates->size() != list.size() || list.size() > kMaxRank) {
      return bad("RS-16", "is a DTensor whose mesh is of an unknown form");
    }
    std::vector<MeshDimension> mesh;
    bool is_strided = false;
    std::uint64_t total = 1;
    for (std::size_t i = 0; i < list.size(); ++i) {
      MeshDimension dimension{.size = (*sizes)[i], .coordinate = (*coordinates)[i]};
      total = dimension.size != 0 && total <= kMaxMesh ? total * dimension.size : kMaxMesh + 1;
      if (dimension.coordinate >= dimension.size || total > kMaxMesh) {
        return bad("RS-16", "is a DTensor whose mesh is not possible");
      }
      FERRULE_TRY(dimension.divides, divided(list[i], rank));
      is_strided |= view_.made_by(list[i])->name == "_StridedShard";
      mesh.push_back(dimension);
    }
    // FSDP on top of tensor parallelism divides what the later dimension of the mesh has left.
    if (is_strided) std::reverse(mesh.begin(), mesh.end());
    return mesh;
  }

  /// Sizes of the mesh: `_layout`'s axes (torch 2.13), its shape and stride (2.10), or `mesh`.
  std::optional<std::vector<std::uint64_t>> mesh_sizes(const PickleValue& mesh) const {
    const auto layout = view_.attribute(mesh, "_layout");
    if (!layout) {
      const auto tensor = view_.attribute(mesh, "mesh");
      const auto found = tensor ? file_.object().tensor(*tensor) : base::corrupt("no mesh");
      if (!found) return std::nullopt;
      return found->shape;
    }
    std::vector<std::uint64_t> sizes;
    if (const auto axes = view_.attribute(*layout, "axes")) {
      for (const auto& axis : view_.items(*axes)) {
        const auto shape = view_.attribute(axis, "shape");
        const auto parts = shape ? view_.counts(*shape) : std::nullopt;
        if (!parts) return std::nullopt;
        std::uint64_t size = 1;
        for (const auto part : *parts) {
          if (part > kMaxMesh) return std::nullopt;
          size = std::min(size * part, kMaxMesh + 1);
        }
        sizes.push_back(size);
      }
      return sizes;
    }
    const auto shape = view_.attribute(*layout, "shape");
    if (!shape) return std::nullopt;
    if (const auto one = view_.count(*shape)) return std::vector<std::uint64_t>{*one};
    return view_.counts(*shape);
  }

  /// RS-16.
  Result<std::optional<std::uint64_t>> divided(const PickleValue& placement,
                                               std::size_t rank) const {
    const auto* kind = view_.made_by(placement);
    if (kind == nullptr) return bad("RS-16", "is a DTensor with an unknown placement");
    if (kind->name == "Replicate") return std::optional<std::uint64_t>();
    if (kind->name != "Shard" && kind->name != "_StridedShard") {
      return bad("RS-16", "is a DTensor with the placement " + quote(kind->name) +
                              "; only Shard and Replicate are read");
    }
    auto value = view_.attribute(placement, "dim");
    if (!value && !view_.arguments(placement).empty()) value = view_.arguments(placement)[0];
    const auto dimension = value ? view_.count(*value) : std::nullopt;
    if (!dimension || *dimension >= rank) {
      return bad("RS-16", "is a DTensor that is sharded along a dimension that it does not have");
    }
    return std::optional<std::uint64_t>(*dimension);
  }

  Error bad(std::string_view rule, std::string what) const {
    return file_.bad(rule, "tensor " + quote(name_) + " " + std::move(what));
  }

  const TorchState& file_;
  PickleView view_;
  std::string_view name_;
};

}  // namespace

void place_shard(std::span<const MeshDimension> mesh, LocalShard& shard) {
  shard.offsets.assign(shard.shape.size(), 0);
  shard.sizes = shard.shape;
  for (const auto& dimension : mesh) {
    if (!dimension.divides) continue;
    auto& offset = shard.offsets[*dimension.divides];
    auto& size = shard.sizes[*dimension.divides];
    const auto each = size / dimension.size + (size % dimension.size != 0 ? 1 : 0);
    const auto first = std::min(size, each * dimension.coordinate);
    offset += first;
    size = std::min(each, size - first);
  }
}

Result<std::optional<LocalShard>> read_dtensor(const TorchState& file, std::string_view name,
                                               const PickleValue& value) {
  return DtensorReader(file, name).read(value);
}

}  // namespace ferrule::rescues
