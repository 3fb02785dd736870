// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/hdf5/hdf5_file.hpp"

namespace ferrule::format {
namespace {

/// Entries of a SNOD, and SNODs of a tree, are twice these.
constexpr std::size_t kHdf5Leaf = 4;
constexpr std::size_t kHdf5Inner = 16;
constexpr std::uint64_t kHdf5Nowhere = ~std::uint64_t{0};

/// A group while its file is put together: groups below it, or which dataset it is.
struct Hdf5Node {
  std::map<std::string, Hdf5Node> below = {};
  std::size_t dataset = 0;
};

class Hdf5Framer {
 public:
  explicit Hdf5Framer(std::span<const Hdf5Output> datasets) : datasets_(datasets) {}

  Result<std::string> frame() {
    Hdf5Node root;
    for (std::size_t i = 0; i < datasets_.size(); ++i) {
      Hdf5Node* node = &root;
      std::string_view path = datasets_[i].path;
      while (true) {
        const auto slash = path.find('/');
        node = &node->below[std::string(path.substr(0, slash))];
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
      }
      node->dataset = i;
    }
    std::size_t most = 2 * kHdf5Leaf * 2 * kHdf5Inner;
    largest(root, most);
    inner_ = (most + 4 * kHdf5Leaf - 1) / (4 * kHdf5Leaf);
    out_.resize(96);
    FERRULE_TRY(const auto place, add(root));
    superblock(place);
    // Where the bytes are is only known now.
    std::uint64_t at = out_.size();
    for (std::size_t i = 0; i < datasets_.size(); ++i) {
      put_at(layouts_[i], datasets_[i].bytes == 0 ? kHdf5Nowhere : at, 8);
      at = (at + datasets_[i].bytes + 7) / 8 * 8;
    }
    put_at(40, at, 8);
    return std::move(out_);
  }

 private:
  /// Where an object's header is, and of a group its tree and heap.
  struct Place {
    std::uint64_t header = 0, tree = 0, heap = 0;
  };

  static void largest(const Hdf5Node& node, std::size_t& most) {
    most = std::max(most, node.below.size());
    for (const auto& [name, child] : node.below) largest(child, most);
  }

  void put(std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
      out_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
  }
  void put_at(std::uint64_t at, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
      out_[static_cast<std::size_t>(at) + i] = static_cast<char>(value >> (8 * i) & 0xff);
    }
  }
  void zeros(std::size_t bytes) { out_.append(bytes, '\0'); }
  void message(std::uint16_t type, std::size_t size) {
    put(type, 2);
    put(size, 2);
    put(0, 4);
  }
  void header(std::size_t messages, std::size_t bytes) {
    put(1, 2);
    put(messages, 2);
    put(1, 4);
    put(bytes, 4);
    put(0, 4);
  }

  void superblock(const Place& root) {
    out_.replace(0, 8, std::string_view("\x89HDF\r\n\x1a\n", 8));
    put_at(13, 0x0808, 2);
    put_at(16, kHdf5Leaf, 2);
    put_at(18, inner_, 2);
    put_at(32, kHdf5Nowhere, 8);
    put_at(48, kHdf5Nowhere, 8);
    put_at(64, root.header, 8);
    put_at(72, 1, 4);
    put_at(80, root.tree, 8);
    put_at(88, root.heap, 8);
  }

  Result<Place> add(const Hdf5Node& node) {
    if (node.below.empty()) return add_dataset(node.dataset);
    struct Child {
      std::uint64_t name = 0;
      Place place;
    };
    std::vector<Child> children;
    std::string names(8, '\0');
    for (const auto& [name, child] : node.below) {
      FERRULE_TRY(const auto place, add(child));
      children.push_back({names.size(), place});
      names += name;
      names.append(8 - name.size() % 8, '\0');
    }
    Place out;
    out.heap = out_.size();
    out_ += "HEAP";
    put(0, 4);
    put(names.size(), 8);
    put(1, 8);  // Nothing in it is free.
    put(out.heap + 32, 8);
    out_ += names;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> leaves;  // Place, name of its last entry.
    for (std::size_t first = 0; first < children.size(); first += 2 * kHdf5Leaf) {
      const auto count = std::min(2 * kHdf5Leaf, children.size() - first);
      leaves.emplace_back(out_.size(), children[first + count - 1].name);
      out_ += "SNOD";
      put(1, 2);
      put(count, 2);
      for (std::size_t i = first; i < first + count; ++i) {
        const auto& [name, place] = children[i];
        put(name, 8);
        put(place.header, 8);
        put(place.tree != 0 ? 1 : 0, 8);
        put(place.tree, 8);
        put(place.heap, 8);
      }
      zeros((2 * kHdf5Leaf - count) * 40);
    }
    out.tree = out_.size();
    out_ += "TREE";
    put(0, 2);
    put(leaves.size(), 2);
    put(kHdf5Nowhere, 8);
    put(kHdf5Nowhere, 8);
    put(0, 8);
    for (const auto& [place, last] : leaves) {
      put(place, 8);
      put(last, 8);
    }
    zeros((2 * inner_ - leaves.size()) * 16);
    out.header = out_.size();
    header(1, 24);
    message(17, 16);
    put(out.tree, 8);
    put(out.heap, 8);
    return out;
  }

  Result<Place> add_dataset(std::size_t index) {
    const auto& dataset = datasets_[index];
    const Place out{.header = out_.size()};
    const auto rank = dataset.shape.size();
    const std::size_t type_size = dataset.dtype == Dtype::kI64 ? 16 : 24;
    header(4, 8 * 4 + 8 + 8 * rank + type_size + 8 + 24);
    message(1, 8 + 8 * rank);
    put(1, 1);
    put(rank, 1);
    put(0, 6);
    for (const auto extent : dataset.shape) put(extent, 8);
    message(3, type_size);
    FERRULE_CHECK(put_type(dataset));
    message(5, 8);  // No fill value.
    put(0x01020202, 4);
    put(0, 4);
    message(8, 24);
    put(0x0103, 2);
    layouts_[index] = out_.size();
    put(0, 8);
    put(dataset.bytes, 8);
    put(0, 6);
    return out;
  }

  Result<void> put_type(const Hdf5Output& dataset) {
    struct Bits {
      std::uint64_t size, exponent_at, exponent_bits, mantissa_bits, bias;
    };
    Bits bits{};
    switch (dataset.dtype) {
      case Dtype::kI64:
        put(0x0810, 4);
        put(8, 4);
        put(64U << 16U, 8);
        return {};
      case Dtype::kF16:
        bits = {2, 10, 5, 10, 15};
        break;
      case Dtype::kF32:
        bits = {4, 23, 8, 23, 127};
        break;
      case Dtype::kF64:
        bits = {8, 52, 11, 52, 1023};
        break;
      default:
        return base::unsupported("EX-23", "HDF5 has no type for " +
                                              std::string(dtype_name(dataset.dtype)) + " (" +
                                              quote(dataset.path) + ")");
    }
    put(0x2011 | (bits.size * 8 - 1) << 16U, 4);
    put(bits.size, 4);
    put(0, 2);
    put(bits.size * 8, 2);
    put(bits.exponent_at, 1);
    put(bits.exponent_bits, 1);
    put(0, 1);
    put(bits.mantissa_bits, 1);
    put(bits.bias, 4);
    put(0, 4);
    return {};
  }

  std::span<const Hdf5Output> datasets_;
  std::string out_;
  std::size_t inner_ = kHdf5Inner;
  std::map<std::size_t, std::uint64_t> layouts_;
};

}  // namespace

Result<std::string> frame_hdf5(std::span<const Hdf5Output> datasets) {
  return Hdf5Framer(datasets).frame();
}

}  // namespace ferrule::format
