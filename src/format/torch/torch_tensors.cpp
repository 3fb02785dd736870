// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_tensors.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/torch/torch_storages.hpp"

namespace ferrule::format {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMaxTensorRank = 64;
/// PK-15: tensors made contiguous may not be larger than their storages times this, plus a spare.
constexpr std::uint64_t kExpansion = 8;
constexpr std::uint64_t kExpansionSpare = std::uint64_t{16} << 20;

std::string article(Kind kind) { return std::string(describe(kind)); }

constexpr std::string_view kLightningKey = "pytorch-lightning_version";

/// True if the root, a dictionary, has that key; with `dict` only if a dictionary is there.
bool has_torch_key(const Pickle& pickle, std::string_view name, bool dict) {
  const auto& items = pickle.node(pickle.root()).items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == Kind::kString && items[i].string() == name &&
        (!dict || items[i + 1].kind == Kind::kDict)) {
      return true;
    }
  }
  return false;
}

class TensorReader {
 public:
  TensorReader(const Pickle& pickle, TorchContainer container, const ReadLimits& limits)
      : pickle_(pickle), limits_(limits), storages_(pickle, container) {}

  /// For single tensors; see TorchValues.
  Result<void> open() {
    lenient_ = true;
    FERRULE_TRY(layout_.storages, storages_.read(true));
    return {};
  }

  std::vector<TorchStorage>& storages() noexcept { return layout_.storages; }

  /// One tensor. Messages go on after its name.
  Result<TorchTensor> tensor(const PickleValue& value) const { return read_tensor(value); }

  Result<TorchLayout> read(std::string_view key) {
    FERRULE_TRY(layout_.storages, storages_.read(!key.empty()));
    FERRULE_TRY(const auto root, find_root(key));
    layout_.is_lightning = !key.empty() && has_torch_key(pickle_, kLightningKey, false);
    FERRULE_CHECK(read_entries(root));
    FERRULE_CHECK(check_expansion());
    return std::move(layout_);
  }

 private:
  // The state dict.

  Result<PickleValue> find_root(std::string_view key) const {
    const auto& root = pickle_.root();
    if (root.kind != Kind::kDict) {
      const bool tensor = root.kind == Kind::kCall;
      return base::unsupported("PK-10",
                               "the file holds " +
                                   (tensor ? std::string("a single object") : article(root.kind)) +
                                   ", not a dictionary of tensors");
    }
    if (key.empty()) return root;
    const auto& items = pickle_.node(root).items;
    std::vector<PickleValue> found;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i].kind == Kind::kString && items[i].string() == key) found.push_back(items[i + 1]);
    }
    if (found.empty()) {
      return base::not_found("the file has no key " + quote(key) + offer_keys());
    }
    if (found.size() > 1) return base::corrupt("PK-11", "the key " + quote(key) + " appears twice");
    if (found[0].kind != Kind::kDict) {
      return base::unsupported("PK-10", "the key " + quote(key) + " holds " +
                                            article(found[0].kind) +
                                            ", not a dictionary of tensors");
    }
    return found[0];
  }

  std::string offer_keys() const { return offer_torch_keys(pickle_); }

  Result<void> read_entries(const PickleValue& dict) {
    const auto& items = pickle_.node(dict).items;
    if (items.size() / 2 > limits_.tensors) {
      return base::over_limit("PK-7", std::to_string(items.size() / 2) + " tensors; the limit is " +
                                          std::to_string(limits_.tensors));
    }
    std::unordered_set<std::string_view> names;
    names.reserve(items.size() / 2);
    layout_.tensors.reserve(items.size() / 2);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i].kind != Kind::kString) {
        return base::corrupt("PK-10", "a key of the state dict is " + article(items[i].kind) +
                                          ", not a str" + offer_keys());
      }
      const auto name = items[i].string();
      if (!names.insert(name).second) {
        return base::corrupt("PK-11",
                             "the tensor " + quote(name) +
                                 " appears twice: readers would disagree which one counts");
      }
      auto tensor = read_tensor(items[i + 1]);
      if (!tensor) {
        auto error = std::move(tensor).error();
        error.message = quote(name) + " " + error.message;
        return error;
      }
      tensor->name = name;
      layout_.tensors.push_back(std::move(tensor).value());
    }
    return {};
  }

  // One tensor. Messages go on after its name.

  Result<TorchTensor> read_tensor(const PickleValue& given) const {
    PickleValue value = given;
    // A parameter wraps a tensor; nothing wraps a parameter.
    for (int level = 0; level < 2; ++level) {
      if (value.kind != Kind::kCall || pickle_.node(value).items.size() < 2) break;
      const auto& call = pickle_.node(value).items;
      const auto& callee = pickle_.global(call[0]);
      const auto& args = pickle_.node(call[1]).items;
      if (lenient_ && is_plain_subclass(callee, args)) {
        return rebuild(pickle_.global(args[0]).facts.id, pickle_.node(args[2]).items);
      }
      if (callee.facts.id == GlobalId::kRefusedTensor) {
        return base::unsupported(
            "PK-16", "is " + std::string(callee.facts.what) + " (" + quote(callee.name) + ")");
      }
      if (call.size() > 2 && !lenient_)
        return base::unsupported("PK-16", "has Python attributes besides its data");
      switch (callee.facts.id) {
        case GlobalId::kRebuildParameter:
        case GlobalId::kRebuildParameterWithState: {
          const std::size_t count = callee.facts.id == GlobalId::kRebuildParameter ? 3 : 4;
          if (level != 0 || args.size() != count || args[1].kind != Kind::kBool) {
            return base::corrupt("PK-8", "is a malformed parameter");
          }
          value = args[0];
          continue;
        }
        case GlobalId::kRebuildTensor:
        case GlobalId::kRebuildTensorV2:
        case GlobalId::kRebuildTensorV3:
          return rebuild(callee.facts.id, args);
        default:
          return not_a_tensor(value, callee.name);
      }
    }
    return not_a_tensor(value, {});
  }

  /// _rebuild_from_type_v2(_rebuild_tensor_v2, torch.Tensor, its arguments, attributes).
  bool is_plain_subclass(const PickleGlobal& callee, const std::vector<PickleValue>& args) const {
    if (callee.name != "_rebuild_from_type_v2" || callee.module != "torch._tensor" ||
        args.size() != 4 || args[0].kind != Kind::kGlobal || args[1].kind != Kind::kGlobal ||
        args[2].kind != Kind::kTuple) {
      return false;
    }
    const auto how = pickle_.global(args[0]).facts.id;
    const auto& type = pickle_.global(args[1]);
    return (how == GlobalId::kRebuildTensor || how == GlobalId::kRebuildTensorV2 ||
            how == GlobalId::kRebuildTensorV3) &&
           ((type.module == "torch" && type.name == "Tensor") ||
            (type.module == "torch.nn.parameter" && type.name == "Parameter"));
  }

  Result<TorchTensor> not_a_tensor(const PickleValue& value, std::string_view callee) const {
    std::string what = "is " + article(value.kind);
    if (!callee.empty()) what += " made by " + quote(callee);
    return base::unsupported("PK-10", what + ", not a tensor: a state dict is flat" + offer_keys());
  }

  Result<TorchTensor> rebuild(GlobalId how, const std::vector<PickleValue>& args) const {
    const bool v3 = how == GlobalId::kRebuildTensorV3;
    const std::size_t least = how == GlobalId::kRebuildTensor ? 4 : (v3 ? 7 : 6);
    const std::size_t most = how == GlobalId::kRebuildTensor ? 4 : least + 1;
    if (args.size() < least || args.size() > most || args[0].kind != Kind::kPersistent ||
        args[1].kind != Kind::kInt || (args.size() > 4 && args[4].kind != Kind::kBool) ||
        (args.size() > 5 && !is_empty(args[5]))) {
      return base::corrupt("PK-8", "is rebuilt from other arguments than torch writes");
    }
    if (args.size() == most && most > 4 && !is_empty(args.back())) {
      return base::unsupported("PK-16", "is a lazily conjugated or negated tensor");
    }
    FERRULE_TRY(const auto use, storages_.use_of(args[0]));
    TorchTensor tensor;
    tensor.storage = use.storage;
    tensor.dtype = layout_.storages[use.storage].dtype;
    if (v3) {
      if (args[6].kind != Kind::kGlobal) return base::corrupt("PK-13", "has no dtype");
      const auto& type = pickle_.global(args[6]);
      if (type.facts.id == GlobalId::kRefusedDtype) {
        return base::unsupported(
            "PK-16", "is of " + std::string(type.facts.what) + " (" + quote(type.name) + ")");
      }
      if (type.facts.id != GlobalId::kDtype) {
        return base::corrupt("PK-13", "has " + quote(type.name) + " for its dtype");
      }
      tensor.dtype = type.facts.dtype;
    }
    FERRULE_TRY(tensor.stored_shape, integers(args[2], "size"));
    FERRULE_TRY(tensor.strides, integers(args[3], "stride"));
    if (args[1].integer < 0) {
      return base::corrupt("PK-12", "starts at element " + std::to_string(args[1].integer));
    }
    FERRULE_CHECK(place(static_cast<std::uint64_t>(args[1].integer), use, tensor));
    return tensor;
  }

  /// None, or an empty dict: no hooks, no metadata.
  bool is_empty(const PickleValue& value) const {
    return value.kind == Kind::kNone ||
           (value.kind == Kind::kDict && pickle_.node(value).items.empty());
  }

  Result<std::vector<std::uint64_t>> integers(const PickleValue& given,
                                              std::string_view what) const {
    PickleValue value = given;
    if (value.kind == Kind::kCall && pickle_.node(value).items.size() == 2) {
      const auto& call = pickle_.node(value).items;
      if (pickle_.global(call[0]).facts.id == GlobalId::kSize &&
          pickle_.node(call[1]).items.size() == 1) {
        value = pickle_.node(call[1]).items[0];
      }
    }
    if (value.kind != Kind::kTuple && value.kind != Kind::kList) {
      return base::corrupt("PK-12", "has " + article(value.kind) + " for its " + std::string(what));
    }
    const auto& items = pickle_.node(value).items;
    if (items.size() > kMaxTensorRank) {
      return base::corrupt("PK-12", "has " + std::to_string(items.size()) +
                                        " dimensions; the limit is " +
                                        std::to_string(kMaxTensorRank));
    }
    std::vector<std::uint64_t> out;
    for (const auto& item : items) {
      if (item.kind != Kind::kInt || item.integer < 0) {
        return base::corrupt("PK-12", "has a " + std::string(what) + " that is not a count (" +
                                          (item.kind == Kind::kInt ? std::to_string(item.integer)
                                                                   : article(item.kind)) +
                                          ")");
      }
      out.push_back(static_cast<std::uint64_t>(item.integer));
    }
    return out;
  }

  /// PK-12: the last element is inside the storage.
  Result<void> place(std::uint64_t first, const StorageUse& use, TorchTensor& tensor) const {
    const auto& shape = tensor.stored_shape;
    if (shape.size() != tensor.strides.size()) {
      return base::corrupt("PK-12", "has " + std::to_string(shape.size()) + " sizes and " +
                                        std::to_string(tensor.strides.size()) + " strides");
    }
    tensor.shape = shape;
    tensor.item_bytes = bit_width(tensor.dtype) / 8;
    if (tensor.dtype == Dtype::kF4) {
      // torch counts bytes of two values each, safetensors counts values.
      tensor.item_bytes = 1;
      const auto doubled =
          shape.empty() ? std::nullopt : base::checked_mul(shape.back(), std::uint64_t{2});
      if (!doubled)
        return base::corrupt("PK-12", "is a packed tensor without a dimension to unpack");
      tensor.shape.back() = *doubled;
    }
    const auto count = element_count(shape);
    const auto bytes = count ? base::checked_mul(*count, tensor.item_bytes) : std::nullopt;
    if (!bytes || !byte_size(tensor.dtype, tensor.shape)) {
      return base::corrupt("PK-12", "has more elements than 64 bits can count");
    }
    tensor.bytes = *bytes;
    if (*count == 0) return {};
    std::uint64_t expected_stride = 1;
    std::optional<std::uint64_t> last = first;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] == 1) continue;
      if (tensor.strides[i] != expected_stride) tensor.is_contiguous = false;
      expected_stride *= shape[i];
      const auto reach = base::checked_mul(shape[i] - 1, tensor.strides[i]);
      last = last && reach ? base::checked_add(*last, *reach) : std::nullopt;
    }
    const std::uint64_t available = use.bytes / tensor.item_bytes;
    if (!last || *last >= available) {
      return base::corrupt("PK-12",
                           "reaches element " +
                               (last ? std::to_string(*last) : std::string("2^64 or beyond")) +
                               " of a storage of " + std::to_string(available));
    }
    tensor.offset = use.offset + first * tensor.item_bytes;
    return {};
  }

  /// PK-15, over the whole file and before anything is allocated.
  Result<void> check_expansion() const {
    std::uint64_t stored = 0;
    for (const auto& storage : layout_.storages) {
      stored = base::checked_add(stored, storage.bytes).value_or(~std::uint64_t{0});
    }
    std::optional<std::uint64_t> total = 0;
    for (const auto& tensor : layout_.tensors) {
      if (!tensor.is_contiguous && total) total = base::checked_add(*total, tensor.bytes);
    }
    const auto scaled = base::checked_mul(stored, kExpansion);
    const std::uint64_t allowed =
        std::min(limits_.materialized_bytes,
                 base::checked_add(scaled.value_or(~std::uint64_t{0}), kExpansionSpare)
                     .value_or(~std::uint64_t{0}));
    if (total && *total <= allowed) return {};
    return base::over_limit("PK-15",
                            "its expanded and transposed tensors would take " +
                                (total ? std::to_string(*total) : std::string("2^64 or more")) +
                                " bytes in memory; allowed are " + std::to_string(allowed) +
                                " for storages of " + std::to_string(stored));
  }

  const Pickle& pickle_;
  const ReadLimits& limits_;
  StorageReader storages_;
  TorchLayout layout_;
  bool lenient_ = false;
};

}  // namespace

struct TorchValues::Rep {
  Rep(const Pickle& pickle, TorchContainer container, const ReadLimits& limits)
      : kept_limits(limits), reader(pickle, container, kept_limits) {}
  ReadLimits kept_limits;
  TensorReader reader;
};

TorchValues::TorchValues(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
TorchValues::TorchValues(TorchValues&&) noexcept = default;
TorchValues& TorchValues::operator=(TorchValues&&) noexcept = default;
TorchValues::~TorchValues() = default;

Result<TorchValues> TorchValues::make(const Pickle& pickle, TorchContainer container,
                                      const ReadLimits& limits) {
  auto rep = std::make_unique<Rep>(pickle, container, limits);
  FERRULE_CHECK(rep->reader.open());
  return TorchValues(std::move(rep));
}

Result<TorchTensor> TorchValues::tensor(const PickleValue& value) const {
  return rep_->reader.tensor(value);
}

std::vector<TorchStorage>& TorchValues::storages() noexcept { return rep_->reader.storages(); }

const std::vector<TorchStorage>& TorchValues::storages() const noexcept {
  return rep_->reader.storages();
}

std::string offer_torch_keys(const Pickle& pickle) {
  if (pickle.root().kind != Kind::kDict) return {};
  static constexpr std::array<std::string_view, 3> kOffered = {"state_dict", "model", "module"};
  std::string text =
      has_torch_key(pickle, kLightningKey, false)  ? "; it is a checkpoint of Lightning"
      : has_torch_key(pickle, "ds_version", false) ? "; it is a checkpoint of DeepSpeed"
                                                   : "";
  for (const auto offered : kOffered) {
    if (!has_torch_key(pickle, offered, true)) continue;
    return text + "; the dictionary under " + quote(offered) + " can be read with --key " +
           std::string(offered);
  }
  return text;
}

Result<TorchLayout> read_torch_tensors(const Pickle& pickle, TorchContainer container,
                                       std::string_view key, const ReadLimits& limits) {
  return TensorReader(pickle, container, limits).read(key);
}

}  // namespace ferrule::format
