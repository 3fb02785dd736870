// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/hdf5/hdf5_file.hpp"

namespace ferrule::format {
namespace {

constexpr std::string_view kHdf5Signature("\x89HDF\r\n\x1a\n", 8);
constexpr std::size_t kMaxHdf5Depth = 8;
/// Objects, tree nodes and messages of one file together.
constexpr std::size_t kMaxHdf5Parts = 1'000'000;
constexpr std::size_t kMaxHdf5Name = 4096;
constexpr std::size_t kMaxHdf5Rank = 8;

enum Hdf5Message : std::uint16_t {
  kDataspace = 1,
  kDatatype = 3,
  kExternalFiles = 7,
  kLayout = 8,
  kFilters = 11,
  kContinuation = 16,
  kSymbolTable = 17
};

Error hdf5_corrupt(std::string message) { return base::corrupt("EX-22", std::move(message)); }
Error hdf5_foreign(std::string message) { return base::unsupported("EX-23", std::move(message)); }

/// The file's bytes, never read past their end.
class Hdf5Bytes {
 public:
  explicit Hdf5Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<std::span<const std::byte>> part(std::uint64_t at, std::uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) {
      return hdf5_corrupt("the HDF5 file has " + std::to_string(bytes_.size()) +
                          " bytes, and something of it is at " + std::to_string(at) + ", " +
                          std::to_string(size) + " bytes long");
    }
    return bytes_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
  }
  template <typename T>
  Result<T> number(std::uint64_t at) const {
    FERRULE_TRY(const auto bytes, part(at, sizeof(T)));
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  Result<void> expect(std::uint64_t at, std::string_view mark) const {
    FERRULE_TRY(const auto bytes, part(at, mark.size()));
    if (std::memcmp(bytes.data(), mark.data(), mark.size()) == 0) return {};
    return hdf5_corrupt("the HDF5 file has no " + quote(mark) + " at " + std::to_string(at));
  }

 private:
  std::span<const std::byte> bytes_;
};

/// What the messages of an object header say.
struct Hdf5Object {
  std::optional<std::pair<std::uint64_t, std::uint64_t>> tree_and_heap = {};
  std::optional<Hdf5Bytes> dataspace = {}, datatype = {}, layout = {};
};

/// A floating-point type by its bits: size, exponent's place and bits, mantissa's bits, bias.
struct Hdf5Float {
  Dtype dtype;
  std::uint32_t size, exponent_at, exponent_bits, mantissa_bits, bias;
};
constexpr Hdf5Float kHdf5Floats[] = {{Dtype::kF16, 2, 10, 5, 10, 15},
                                     {Dtype::kBF16, 2, 7, 8, 7, 127},
                                     {Dtype::kF32, 4, 23, 8, 23, 127},
                                     {Dtype::kF64, 8, 52, 11, 52, 1023}};

class Hdf5Reader {
 public:
  explicit Hdf5Reader(std::span<const std::byte> file) : file_(file) {}

  Result<std::vector<Hdf5Dataset>> read() {
    FERRULE_CHECK(file_.expect(0, kHdf5Signature));
    FERRULE_TRY(const auto version, file_.number<std::uint8_t>(8));
    if (version != 0) {
      return hdf5_foreign("the HDF5 file has a superblock of version " + std::to_string(version) +
                          ", and Ferrule reads those that h5py writes by default (0)");
    }
    FERRULE_TRY(const auto sizes, file_.number<std::uint16_t>(13));
    FERRULE_TRY(const auto base, file_.number<std::uint64_t>(24));
    if (sizes != 0x0808 || base != 0) {
      return hdf5_foreign("the HDF5 file has addresses of another size, or does not begin at 0");
    }
    FERRULE_TRY(const auto root, file_.number<std::uint64_t>(64));
    FERRULE_CHECK(read_object(root, {}, 0));
    std::sort(out_.begin(), out_.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    const auto twice = std::adjacent_find(
        out_.begin(), out_.end(), [](const auto& a, const auto& b) { return a.path == b.path; });
    if (twice != out_.end()) {
      return hdf5_corrupt("the HDF5 file has two datasets " + quote(twice->path));
    }
    return std::move(out_);
  }

 private:
  Result<void> count() {
    if (++parts_ <= kMaxHdf5Parts) return {};
    return hdf5_corrupt("the HDF5 file has more than " + std::to_string(kMaxHdf5Parts) +
                        " parts, or its groups lead back to themselves");
  }

  Result<void> read_object(std::uint64_t at, const std::string& path, std::size_t depth) {
    FERRULE_CHECK(count());
    if (depth > kMaxHdf5Depth) {
      return hdf5_corrupt("the groups of the HDF5 file are more than " +
                          std::to_string(kMaxHdf5Depth) + " deep, or lead back to themselves");
    }
    FERRULE_TRY(const auto object, read_header(at, path));
    if (object.tree_and_heap) {
      const auto [tree, heap] = *object.tree_and_heap;
      return read_tree(tree, heap, path, depth, 0);
    }
    if (!object.dataspace && !object.layout) return {};  // An empty group, or a named type.
    return read_dataset(object, path);
  }

  Result<Hdf5Object> read_header(std::uint64_t at, const std::string& path) {
    FERRULE_TRY(const auto version, file_.number<std::uint8_t>(at));
    if (version != 1) {
      return hdf5_foreign("an object header of the HDF5 file (" + quote(path) +
                          ") is not of version 1");
    }
    FERRULE_TRY(const auto size, file_.number<std::uint32_t>(at + 8));
    std::vector<std::pair<std::uint64_t, std::uint64_t>> blocks = {{at + 16, size}};
    Hdf5Object object;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto [start, bytes] = blocks[i];
      FERRULE_CHECK(file_.part(start, bytes));
      for (std::uint64_t place = 0; place + 8 <= bytes;) {
        FERRULE_CHECK(count());
        FERRULE_TRY(const auto type, file_.number<std::uint16_t>(start + place));
        FERRULE_TRY(const auto length, file_.number<std::uint16_t>(start + place + 2));
        FERRULE_TRY(const auto flags, file_.number<std::uint8_t>(start + place + 4));
        if (length > bytes - place - 8) {
          return hdf5_corrupt("a message of " + quote(path) + " is longer than its header");
        }
        FERRULE_TRY(const auto data, file_.part(start + place + 8, length));
        FERRULE_CHECK(take(type, flags, Hdf5Bytes(data), path, object, blocks));
        place += 8U + length;
      }
    }
    return object;
  }

  static Result<void> take(std::uint16_t type, std::uint8_t flags, Hdf5Bytes data,
                           const std::string& path, Hdf5Object& object,
                           std::vector<std::pair<std::uint64_t, std::uint64_t>>& blocks) {
    const bool shared = (flags & 2) != 0;
    switch (type) {
      case kDataspace:
        object.dataspace = data;
        break;
      case kDatatype:
        object.datatype = data;
        break;
      case kLayout:
        object.layout = data;
        break;
      case kFilters:
      case kExternalFiles:
        return hdf5_foreign("the dataset " + quote(path) +
                            " is compressed or in other files, which Ferrule does not read");
      case kContinuation: {
        FERRULE_TRY(const auto at, data.number<std::uint64_t>(0));
        FERRULE_TRY(const auto size, data.number<std::uint64_t>(8));
        blocks.emplace_back(at, size);
        return {};
      }
      case kSymbolTable: {
        FERRULE_TRY(const auto tree, data.number<std::uint64_t>(0));
        FERRULE_TRY(const auto heap, data.number<std::uint64_t>(8));
        object.tree_and_heap = {tree, heap};
        return {};
      }
      case 2:  // Link info: a group of the newer kind.
      case 6:
        return hdf5_foreign("the group " + quote(path) +
                            " is of a newer kind, which Ferrule does "
                            "not read");
      default:
        return {};
    }
    if (shared) return hdf5_foreign("a type of the dataset " + quote(path) + " is kept elsewhere");
    return {};
  }

  Result<void> read_tree(std::uint64_t at, std::uint64_t heap, const std::string& path,
                         std::size_t depth, std::size_t levels) {
    FERRULE_CHECK(count());
    FERRULE_CHECK(file_.expect(at, "TREE"));
    FERRULE_TRY(const auto type, file_.number<std::uint8_t>(at + 4));
    FERRULE_TRY(const auto level, file_.number<std::uint8_t>(at + 5));
    FERRULE_TRY(const auto used, file_.number<std::uint16_t>(at + 6));
    if (type != 0 || levels > kMaxHdf5Depth) {
      return hdf5_corrupt("the tree of the group " + quote(path) + " is not one of a group");
    }
    for (std::uint64_t i = 0; i < used; ++i) {
      FERRULE_TRY(const auto child, file_.number<std::uint64_t>(at + 24 + 16 * i + 8));
      if (level != 0) {
        FERRULE_CHECK(read_tree(child, heap, path, depth, levels + 1));
      } else {
        FERRULE_CHECK(read_symbols(child, heap, path, depth));
      }
    }
    return {};
  }

  Result<void> read_symbols(std::uint64_t at, std::uint64_t heap, const std::string& path,
                            std::size_t depth) {
    FERRULE_CHECK(count());
    FERRULE_CHECK(file_.expect(at, "SNOD"));
    FERRULE_TRY(const auto used, file_.number<std::uint16_t>(at + 6));
    for (std::uint64_t i = 0; i < used; ++i) {
      const auto entry = at + 8 + 40 * i;
      FERRULE_TRY(const auto name_at, file_.number<std::uint64_t>(entry));
      FERRULE_TRY(const auto header, file_.number<std::uint64_t>(entry + 8));
      FERRULE_TRY(const auto kind, file_.number<std::uint32_t>(entry + 16));
      FERRULE_TRY(const auto name, name_in(heap, name_at));
      const auto below = path.empty() ? name : path + "/" + name;
      if (kind > 1) return hdf5_foreign("the entry " + quote(below) + " is a link");
      FERRULE_CHECK(read_object(header, below, depth + 1));
    }
    return {};
  }

  Result<std::string> name_in(std::uint64_t heap, std::uint64_t offset) const {
    FERRULE_CHECK(file_.expect(heap, "HEAP"));
    FERRULE_TRY(const auto size, file_.number<std::uint64_t>(heap + 8));
    FERRULE_TRY(const auto data, file_.number<std::uint64_t>(heap + 24));
    FERRULE_TRY(const auto all, file_.part(data, size));
    if (offset >= all.size()) return hdf5_corrupt("a name of the HDF5 file is outside of its heap");
    const auto rest = all.subspan(static_cast<std::size_t>(offset));
    const auto end = std::find(rest.begin(), rest.end(), std::byte{0});
    const auto length = static_cast<std::size_t>(end - rest.begin());
    if (end == rest.end() || length == 0 || length > kMaxHdf5Name) {
      return hdf5_corrupt("a name of the HDF5 file has no end, or no letters");
    }
    std::string name(length, '\0');
    std::memcpy(name.data(), rest.data(), length);
    return name;
  }

  Result<void> read_dataset(const Hdf5Object& object, const std::string& path) {
    if (!object.dataspace || !object.datatype || !object.layout) {
      return hdf5_corrupt("the dataset " + quote(path) + " lacks a shape, a type or a place");
    }
    Hdf5Dataset out{.path = path};
    FERRULE_TRY(out.shape, shape_of(*object.dataspace, path));
    FERRULE_TRY(out.dtype, dtype_of(*object.datatype, path));
    const auto bytes = byte_size(out.dtype, out.shape);
    if (!bytes) return hdf5_corrupt("the dataset " + quote(path) + " is too large");
    FERRULE_TRY(out.bytes, place_of(*object.layout, *bytes, path));
    out_.push_back(std::move(out));
    return {};
  }

  static Result<std::vector<std::uint64_t>> shape_of(const Hdf5Bytes& data,
                                                     const std::string& path) {
    FERRULE_TRY(const auto version, data.number<std::uint8_t>(0));
    FERRULE_TRY(const auto rank, data.number<std::uint8_t>(1));
    if (version != 1 || rank > kMaxHdf5Rank) {
      return hdf5_foreign("the dataset " + quote(path) + " has a shape of version " +
                          std::to_string(version) + " and " + std::to_string(rank) + " dimensions");
    }
    std::vector<std::uint64_t> shape;
    for (std::uint64_t i = 0; i < rank; ++i) {
      FERRULE_TRY(const auto extent, data.number<std::uint64_t>(8 + 8 * i));
      shape.push_back(extent);
    }
    return shape;
  }

  static Result<Dtype> dtype_of(const Hdf5Bytes& data, const std::string& path) {
    const auto other = hdf5_foreign("the dataset " + quote(path) +
                                    " is neither of little-endian floats nor of integers");
    FERRULE_TRY(const auto kind, data.number<std::uint8_t>(0));
    FERRULE_TRY(const auto bits, data.number<std::uint16_t>(1));
    FERRULE_TRY(const auto size, data.number<std::uint32_t>(4));
    FERRULE_TRY(const auto offset, data.number<std::uint16_t>(8));
    FERRULE_TRY(const auto precision, data.number<std::uint16_t>(10));
    if ((bits & 1) != 0 || offset != 0 || size > 8 || precision != size * 8) return other;
    if (kind == 0x10) {
      if (size == 8) return Dtype::kI64;
      if (size == 4) return Dtype::kI32;
      return other;
    }
    if (kind != 0x11) return other;
    FERRULE_TRY(const auto fields, data.number<std::uint32_t>(12));
    FERRULE_TRY(const auto bias, data.number<std::uint32_t>(16));
    const std::uint32_t sign_at = bits >> 8U;
    for (const auto& type : kHdf5Floats) {
      const std::uint32_t want =
          type.exponent_at | type.exponent_bits << 8U | type.mantissa_bits << 24U;
      if (type.size == size && fields == want && bias == type.bias && sign_at == size * 8 - 1) {
        return type.dtype;
      }
    }
    return other;
  }

  Result<std::span<const std::byte>> place_of(const Hdf5Bytes& data, std::uint64_t bytes,
                                              const std::string& path) const {
    FERRULE_TRY(const auto version, data.number<std::uint8_t>(0));
    FERRULE_TRY(const auto kind, data.number<std::uint8_t>(1));
    if (version != 3 || kind > 1) {
      return hdf5_foreign("the dataset " + quote(path) + " is not in one piece");
    }
    if (bytes == 0) return std::span<const std::byte>();
    if (kind == 0) {
      FERRULE_TRY(const auto size, data.number<std::uint16_t>(2));
      if (size < bytes) return hdf5_corrupt("the dataset " + quote(path) + " is cut off");
      return data.part(4, bytes);
    }
    FERRULE_TRY(const auto at, data.number<std::uint64_t>(2));
    FERRULE_TRY(const auto size, data.number<std::uint64_t>(10));
    if (size < bytes) return hdf5_corrupt("the dataset " + quote(path) + " is cut off");
    return file_.part(at, bytes);
  }

  Hdf5Bytes file_;
  std::size_t parts_ = 0;
  std::vector<Hdf5Dataset> out_;
};

}  // namespace

Result<std::vector<Hdf5Dataset>> parse_hdf5(std::span<const std::byte> file) {
  return Hdf5Reader(file).read();
}

}  // namespace ferrule::format
