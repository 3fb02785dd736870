// SPDX-License-Identifier: Apache-2.0
#include "ferrule/file_kind.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace ferrule {
namespace {

constexpr std::size_t kHeadBytes = 4096;

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool starts_with_any_case(std::string_view text, std::string_view prefix) noexcept {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char a, char b) { return a == lower(b); });
}

std::string_view without_leading_space(std::string_view text) noexcept {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

/// A header length below 4 GiB and an opening brace: nothing else in use starts like this.
bool is_safetensors(std::string_view head) noexcept {
  return head.size() > 8 && head[8] == '{' && head.substr(4, 4) == std::string_view("\0\0\0\0", 4);
}

/// The name in the zip's first local header tells torch's archives from others.
FileKind zip_kind(std::string_view head) noexcept {
  if (head.size() < 30) return FileKind::kZip;
  const auto byte = [head](std::size_t i) {
    return std::size_t{static_cast<unsigned char>(head[i])};
  };
  const std::string_view first = head.substr(30, byte(26) | byte(27) << 8);
  const auto slash = first.find('/');
  if (slash == std::string_view::npos || slash == 0) return FileKind::kZip;
  const std::string_view entry = first.substr(slash + 1);
  if (entry.starts_with("code/") || entry == "constants.pkl") return FileKind::kTorchScript;
  const bool torch = entry == "data.pkl" || entry == "version" || entry == "byteorder" ||
                     entry == ".format_version" || entry == ".storage_alignment" ||
                     entry.starts_with("data/");
  return torch ? FileKind::kTorchZip : FileKind::kZip;
}

FileKind tar_kind(std::string_view head) noexcept {
  const std::string_view name = head.substr(0, head.find('\0'));
  const bool torch = name == "sys_info" || name == "pickle" || name == "storages" ||
                     name == "tensors" || name == "./sys_info" || name == "./pickle" ||
                     name == "./storages" || name == "./tensors";
  return torch ? FileKind::kTorchTar : FileKind::kTar;
}

/// Protocols 2 to 5 say so in the first byte, and 0 and 1 start with an opcode and often a name.
bool is_pickle(std::string_view head, std::uint64_t file_bytes) noexcept {
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) return true;
  const bool ended = head.size() == file_bytes && head.size() >= 2 && head.back() == '.';
  const bool old_start = head.starts_with("(dp") || head.starts_with("(lp") ||
                         head.starts_with("(ip") || head.starts_with("ccollections\n") ||
                         head.starts_with("ctorch") || head.starts_with("c__builtin__\n") ||
                         head.starts_with("cbuiltins\n") || head.starts_with("cos\n") ||
                         head.starts_with("cposix\n") || head.starts_with("}q") ||
                         head.starts_with("]q") || head.starts_with("(i");
  return old_start || (ended && (head[0] == '}' || head[0] == ']' || head[0] == '('));
}

bool is_torch_legacy(std::string_view head) noexcept {
  // A pickle (protocol 2 on) of the integer 0x1950a86a20f9469cfc6c.
  static constexpr std::string_view kMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  return head.size() >= 14 && head[0] == '\x80' && head.substr(2, 12) == kMagic;
}

/// No control characters except white space, and no byte that UTF-8 lacks; a few bytes say too
/// little.
bool is_text(std::string_view head) noexcept {
  constexpr std::size_t kEnough = 8;
  return head.size() >= kEnough && std::all_of(head.begin(), head.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           const bool never_in_utf8 = byte >= 0xf8 || byte == 0xc0 || byte == 0xc1;
           return (byte >= ' ' && byte != 0x7f && !never_in_utf8) || c == '\n' || c == '\r' ||
                  c == '\t' || c == '\f';
         });
}

FileKind text_kind(std::string_view head) noexcept {
  const std::string_view text = without_leading_space(head);
  if (starts_with_any_case(text, "<!doctype html") || starts_with_any_case(text, "<html") ||
      starts_with_any_case(text, "<head") ||
      (starts_with_any_case(text, "<!--") && contains(text, "<html"))) {
    return FileKind::kHtml;
  }
  const FileKind other = is_text(head) ? FileKind::kText : FileKind::kUnknown;
  if (text.empty() || (text[0] != '{' && text[0] != '[')) return other;
  const std::string_view inside = without_leading_space(text.substr(1));
  const bool json = inside.empty() || inside[0] == '"' || inside[0] == '}' || inside[0] == ']' ||
                    (text[0] == '[' && contains("{[-0123456789tfn", inside.substr(0, 1)));
  if (!json) return other;
  return contains(text, "\"weight_map\"") ? FileKind::kSafetensorsIndex : FileKind::kJson;
}

}  // namespace

std::string_view describe(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::kSafetensors:
      return "a safetensors file";
    case FileKind::kSafetensorsIndex:
      return "an index of sharded weights";
    case FileKind::kTorchZip:
      return "a torch file (zip of a pickle)";
    case FileKind::kTorchLegacy:
      return "a torch file of the legacy format (before 1.6)";
    case FileKind::kTorchTar:
      return "a torch file of the oldest format (tar)";
    case FileKind::kTorchScript:
      return "a TorchScript archive, which holds code";
    case FileKind::kPickle:
      return "a bare pickle, which can run code when loaded";
    case FileKind::kGguf:
      return "a GGUF file (llama.cpp; `ferrule convert --to peft` reads adapters of it)";
    case FileKind::kLfsPointer:
      return "a Git LFS pointer, not the file itself (run `git lfs pull`)";
    case FileKind::kHtml:
      return "an HTML page (a download that met a login or an error page?)";
    case FileKind::kJson:
      return "a JSON text";
    case FileKind::kGzip:
      return "compressed with gzip";
    case FileKind::kZip:
      return "a zip archive, but none of torch's";
    case FileKind::kTar:
      return "a tar archive";
    case FileKind::kSevenZip:
      return "a 7z archive";
    case FileKind::kHdf5:
      return "an HDF5 file (Keras writes its weights so), not a file of torch or PEFT";
    case FileKind::kOnnxAdapter:
      return "an adapter of ONNX Runtime (.onnx_adapter), not one of PEFT; `ferrule convert --to "
             "peft` makes one of it";
    case FileKind::kNumpy:
      return "an array of NumPy (.npy)";
    case FileKind::kText:
      return "a text file";
    case FileKind::kEmpty:
      return "an empty file";
    case FileKind::kUnknown:
      return "of an unknown format";
  }
  return "of an unknown format";
}

FileKind recognize(std::span<const std::byte> bytes, std::uint64_t file_bytes) noexcept {
  if (file_bytes == 0 || bytes.empty()) return FileKind::kEmpty;
  const std::string_view whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view head = whole.substr(0, kHeadBytes);
  if (is_safetensors(head)) return FileKind::kSafetensors;
  if (head.starts_with(std::string_view("PK\x03\x04", 4))) return zip_kind(head);
  if (head.starts_with(std::string_view("PK\x05\x06", 4))) return FileKind::kZip;
  if (is_torch_legacy(head)) return FileKind::kTorchLegacy;
  if (head.starts_with("GGUF")) return FileKind::kGguf;
  if (head.starts_with("\x89HDF\r\n\x1a\n")) return FileKind::kHdf5;
  if (head.starts_with("\x93NUMPY")) return FileKind::kNumpy;
  if (head.size() >= 8 && head.substr(4, 4) == "TORT") return FileKind::kOnnxAdapter;
  if (head.starts_with("version https://git-lfs.github.com/spec/") ||
      head.starts_with("version https://hawser.github.com/spec/")) {
    return FileKind::kLfsPointer;
  }
  if (head.starts_with("\x1f\x8b")) return FileKind::kGzip;
  if (head.starts_with("7z\xbc\xaf\x27\x1c")) return FileKind::kSevenZip;
  if (head.size() >= 262 && head.substr(257, 5) == "ustar") return tar_kind(head);
  if (is_pickle(head, file_bytes)) return FileKind::kPickle;
  return text_kind(head);
}

}  // namespace ferrule
