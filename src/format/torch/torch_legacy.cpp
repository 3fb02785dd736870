// SPDX-License-Identifier: Apache-2.0
// What torch.save wrote before 1.6, and still writes with _use_new_zipfile_serialization=False
// (rules: docs/rules/PK.md).
//
//   pickle 1   0x1950a86a20f9469cfc6c, the magic number           PK-17
//   pickle 2   1001, the protocol                                 PK-17
//   pickle 3   {"little_endian": True, ...}, of the machine       PK-17
//   pickle 4   the object: a dictionary of tensors                PK-1 to PK-16
//              Each tensor names its storage by a persistent id.
//   pickle 5   ["KEY", ...], the storages in the order below      PK-18
//   then, for every key:
//              8 bytes   the number of elements, little-endian    PK-19
//              the elements                                       PK-19
//   end of the file                                               PK-20
//
// No length precedes a pickle: each is read up to its STOP in a window at the start of the file,
// which grows until the pickle fits. The data are not read here, only located.
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/torch/torch_archive.hpp"

namespace ferrule::format {
namespace {

using Kind = PickleValue::Kind;

constexpr std::int64_t kProtocol = 1001;
/// 0x1950a86a20f9469cfc6c, least byte first.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::uint64_t kFirstWindow = 1 << 20;

/// The start of the file, as much of it as the pickles need: nothing says how long they are.
class PickleWindow {
 public:
  PickleWindow(const ByteSource& source, std::uint64_t limit)
      : source_(source), limit_(std::min(source.size(), limit)) {}

  /// The pickle at `at`. If it does not end inside the window, the window grows.
  Result<Pickle> read(std::uint64_t at) {
    while (true) {
      if (bytes_.size() > at) {
        auto pickle = Pickle::read(std::span(bytes_).subspan(at));
        const bool may_be_cut =
            !pickle && (pickle.error().rule == "PK-1" || pickle.error().rule == "PK-4" ||
                        pickle.error().rule == "PK-7");
        if (!may_be_cut || bytes_.size() == limit_) return locate(std::move(pickle), at);
      } else if (bytes_.size() == limit_) {
        return end_of_window();
      }
      FERRULE_CHECK(grow());
    }
  }

 private:
  Error end_of_window() const {
    if (limit_ == source_.size()) {
      return base::corrupt("PK-1", "the file ends at offset " + std::to_string(limit_) +
                                       ", before the last of its pickles");
    }
    return base::over_limit(
        "PK-7", "the pickles take more than the limit of " + std::to_string(limit_) + " bytes");
  }

  Result<Pickle> locate(Result<Pickle> pickle, std::uint64_t at) const {
    if (pickle) return pickle;
    auto error = std::move(pickle).error();
    if (error.rule == "PK-1" && limit_ != source_.size()) return end_of_window();
    if (at != 0) error.message += " (of the pickle at offset " + std::to_string(at) + ")";
    return error;
  }

  Result<void> grow() {
    const std::uint64_t have = bytes_.size();
    const std::uint64_t want = std::min(limit_, std::max(kFirstWindow, have * 4));
    bytes_.resize(static_cast<std::size_t>(want));
    return source_.read_at(have, std::span(bytes_).subspan(have));
  }

  const ByteSource& source_;
  std::uint64_t limit_;
  std::vector<std::byte> bytes_;
};

const PickleValue* find_item(const Pickle& pickle, const PickleValue& dict, std::string_view key) {
  const auto& items = pickle.node(dict).items;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == Kind::kString && items[i].string() == key) return &items[i + 1];
  }
  return nullptr;
}

class LegacyReader {
 public:
  LegacyReader(const ByteSource& source, const ReadLimits& limits)
      : source_(source), limits_(limits), window_(source, limits.header_bytes) {}

  Result<TorchLayout> read(std::string_view key) {
    FERRULE_CHECK(read_preamble());
    // The window may move when it grows, and a pickle points into it: turn values into a layout
    // before the next one is read.
    FERRULE_TRY(auto layout, read_state(key));
    FERRULE_TRY(const auto keys, read_keys());
    FERRULE_CHECK(locate(keys, layout));
    return layout;
  }

 private:
  /// PK-17.
  Result<void> read_preamble() {
    FERRULE_TRY(const auto magic, window_.read(at_));
    if (magic.root().kind != Kind::kBigInt || magic.root().string() != kLegacyMagic) {
      return base::unsupported("PK-17",
                               "a pickle, but not one of torch.save: its first value is not "
                               "torch's magic number");
    }
    at_ += magic.end();
    FERRULE_TRY(const auto protocol, window_.read(at_));
    if (protocol.root().kind != Kind::kInt || protocol.root().integer != kProtocol) {
      return base::corrupt("PK-17", "the protocol is not 1001, the only one there is");
    }
    at_ += protocol.end();
    FERRULE_TRY(const auto info, window_.read(at_));
    const auto* little =
        info.root().kind == Kind::kDict ? find_item(info, info.root(), "little_endian") : nullptr;
    if (little == nullptr || little->kind != Kind::kBool) {
      return base::corrupt("PK-17",
                           "the system info does not say whether the file is little-endian");
    }
    if (little->integer == 0) {
      return base::unsupported("PK-17",
                               "the file was written on a big-endian machine; load and save it "
                               "once with torch to turn its bytes around");
    }
    at_ += info.end();
    return {};
  }

  Result<TorchLayout> read_state(std::string_view key) {
    FERRULE_TRY(const auto pickle, window_.read(at_));
    at_ += pickle.end();
    return read_torch_tensors(pickle, TorchContainer::kLegacy, key, limits_);
  }

  Result<std::vector<std::string>> read_keys() {
    FERRULE_TRY(const auto pickle, window_.read(at_));
    at_ += pickle.end();
    std::vector<std::string> keys;
    if (pickle.root().kind != Kind::kList)
      return base::corrupt("PK-18", "there is no list of storages");
    for (const auto& item : pickle.node(pickle.root()).items) {
      if (item.kind != Kind::kString) {
        return base::corrupt("PK-18", "the list of storages has " +
                                          std::string(describe(item.kind)) +
                                          " where a key should be");
      }
      keys.emplace_back(item.string());
    }
    return keys;
  }

  /// PK-18 to PK-20: every storage is filled exactly once, and nothing is left over.
  Result<void> locate(const std::vector<std::string>& keys, TorchLayout& layout) {
    std::unordered_map<std::string_view, TorchStorage*> missing;
    for (auto& storage : layout.storages) missing.emplace(storage.key, &storage);
    for (const auto& key : keys) {
      const auto found = missing.find(key);
      if (found == missing.end()) {
        return base::corrupt(
            "PK-18", "the storage " + quote(key) + " is listed twice, or no tensor uses it");
      }
      FERRULE_CHECK(locate(*found->second));
      missing.erase(found);
    }
    if (!missing.empty()) {
      return base::corrupt("PK-18",
                           "the storage " + quote(missing.begin()->first) +
                               " is not in the file: torch would hand out whatever its memory "
                               "held");
    }
    if (at_ != source_.size()) {
      return base::corrupt("PK-20", std::to_string(source_.size() - at_) +
                                        " bytes follow the last storage at offset " +
                                        std::to_string(at_));
    }
    return {};
  }

  Result<void> locate(TorchStorage& storage) {
    const std::uint64_t left = source_.size() - at_;
    if (left < 8 || storage.bytes > left - 8) {
      return base::corrupt("PK-19", "the storage " + quote(storage.key) + " needs " +
                                        std::to_string(storage.bytes) + " bytes at offset " +
                                        std::to_string(at_) + "; the file has " +
                                        std::to_string(left) + " there: cut short?");
    }
    std::byte bytes[8];
    FERRULE_CHECK(source_.read_at(at_, bytes));
    const auto count = load_le<std::uint64_t>(bytes, 0);
    if (count != storage.elements) {
      return base::corrupt("PK-19", "the storage " + quote(storage.key) + " should have " +
                                        std::to_string(storage.elements) +
                                        " elements, the file says " + std::to_string(count));
    }
    storage.file_offset = at_ + 8;
    at_ += 8 + storage.bytes;
    return {};
  }

  const ByteSource& source_;
  const ReadLimits& limits_;
  PickleWindow window_;
  std::uint64_t at_ = 0;
};

}  // namespace

Result<TorchLayout> read_torch_legacy(const ByteSource& source, std::string_view key,
                                      const ReadLimits& limits) {
  return LegacyReader(source, limits).read(key);
}

}  // namespace ferrule::format
