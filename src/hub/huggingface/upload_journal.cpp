// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/upload_journal.hpp"

#include <chrono>
#include <string_view>

#include "ferrule/json.hpp"
#include "ferrule/text_file.hpp"
#include "hub/transport/answer.hpp"
#include "io/digest.hpp"
#include "io/folder.hpp"
#include "io/partial_file.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMaxJournalBytes = std::uint64_t{8} << 20;
constexpr std::int64_t kRubbishAfter = 7 * 24 * 3600;  // No address is valid for longer.
constexpr mode_t kOwnerAlone = 0600;

std::int64_t now() {
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

/// The first line: everything but the parts that arrived.
std::optional<Parts> read_head(std::string_view line) {
  const auto json = parse_json(line);
  if (!json) return std::nullopt;
  Parts parts;
  parts.chunk = size_member(*json, "chunk").value_or(0);
  parts.complete = text_member(*json, "complete");
  parts.expires = static_cast<std::int64_t>(size_member(*json, "expires").value_or(0));
  const auto* list = json->find("addresses");
  const auto* addresses = list != nullptr ? list->if_object() : nullptr;
  if (addresses == nullptr || parts.chunk == 0 || parts.complete.empty()) return std::nullopt;
  for (const auto& [key, value] : *addresses) {
    const auto part = whole_number(key);
    const auto* address = value.if_string();
    if (!part || address == nullptr) return std::nullopt;
    parts.addresses[*part] = *address;
  }
  return parts;
}

/// Removes files of killed pushes that no later push continued.
void sweep(const io::Folder& folder) {
  const auto names = folder.names();
  if (!names) return;
  for (const auto& name : *names) {
    const auto file = folder.open_file(name);
    if (!file || !*file) continue;
    const auto identity = io::identity_of((*file)->fd.get(), folder.path() / name);
    if (identity && now() - identity->modified_ns / 1'000'000'000 > kRubbishAfter) {
      (void)folder.remove(name);
    }
  }
}

}  // namespace

UploadJournal::UploadJournal(const std::filesystem::path& home, const std::string& object) {
  if (home.empty()) return;
  folder_ = home / "ferrule" / "uploads";
  name_ = io::sha256_hex(object);
}

std::optional<Parts> UploadJournal::find(std::uint64_t chunk) const {
  if (folder_.empty()) return std::nullopt;
  const auto text = read_text_file(folder_ / name_, kMaxJournalBytes);
  if (!text) return std::nullopt;
  std::string_view rest(*text);
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  auto parts = read_head(rest.substr(0, end));
  const bool expired = parts && parts->expires != 0 && parts->expires <= now();
  if (!parts || expired || parts->chunk != chunk) return std::nullopt;
  rest.remove_prefix(end + 1);
  // "PART ETAG"; a line without its end was torn by a kill.
  for (auto stop = rest.find('\n'); stop != std::string_view::npos; stop = rest.find('\n')) {
    const auto line = rest.substr(0, stop);
    rest.remove_prefix(stop + 1);
    const auto space = line.find(' ');
    const auto part = whole_number(line.substr(0, space));
    if (space == std::string_view::npos || !part || parts->addresses.count(*part) == 0) continue;
    parts->etags[*part] = std::string(line.substr(space + 1));
  }
  return parts;
}

void UploadJournal::begin(const Parts& parts) {
  if (folder_.empty()) return;
  const auto folder = io::Folder::make(folder_);
  if (!folder) return;
  sweep(*folder);
  if (!folder->remove(name_)) return;
  Json addresses{Json::Object{}};
  for (const auto& [part, address] : parts.addresses) {
    addresses.set(std::to_string(part), address);
  }
  const auto head = Json(Json::Object{{"chunk", Json(parts.chunk)},
                                      {"complete", parts.complete},
                                      {"expires", Json(parts.expires)},
                                      {"addresses", std::move(addresses)}})
                        .dump() +
                    "\n";
  (void)io::append_line(*folder, name_, head, kOwnerAlone);
}

void UploadJournal::note(std::uint64_t part, const std::string& etag) {
  if (folder_.empty() || etag.find('\n') != std::string::npos) return;
  const std::lock_guard lock(mutex_);
  const auto folder = io::Folder::make(folder_);
  if (folder) {
    (void)io::append_line(*folder, name_, std::to_string(part) + " " + etag + "\n", kOwnerAlone);
  }
}

void UploadJournal::forget() {
  if (folder_.empty()) return;
  const auto folder = io::Folder::open(folder_);
  if (folder && *folder) (void)(*folder)->remove(name_);
}

}  // namespace ferrule::hub
