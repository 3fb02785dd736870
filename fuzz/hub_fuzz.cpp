// SPDX-License-Identifier: Apache-2.0
// Any bytes as whatever a hub or a store may send: lists of files, answers to an LFS batch,
// headers, manifests, XML, refusals, a card. What is accepted is safe to use, what is refused has
// its rule.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "format/card/card_text.hpp"
#include "format/card/front_matter.hpp"
#include "format/card/hub_id.hpp"
#include "hub/files/cached_tree.hpp"
#include "hub/files/names.hpp"
#include "hub/huggingface/lfs_answer.hpp"
#include "hub/huggingface/listing.hpp"
#include "hub/object_store/object_manifest.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/http.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/rate_limit.hpp"
#include "hub/transport/url.hpp"
#include "hub/transport/xml.hpp"

namespace {

using namespace ferrule;
using namespace ferrule::hub;

constexpr const char* kEndpoint = "https://hub.example";

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
void require_rule(const Result<T>& refused) {
  require(!refused.error().rule.empty() || refused.error().code == ErrorCode::kLimitExceeded);
  require(!refused.error().message.empty() && refused.error().message.size() < 4096);
}

void require_safe(const std::vector<RemoteFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    require(is_safe_path(files[i].path));
    require(i == 0 || files[i - 1].path < files[i].path);
    require(files[i].etag().empty() || is_hex(files[i].etag(), files[i].large() ? 64 : 40));
  }
}

void try_listing(const std::string& text) {
  const auto json = parse_json(text);
  if (!json) return;
  std::vector<RemoteFile> files;
  if (const auto taken = take_page(*json, "the list", files); !taken) return require_rule(taken);
  if (const auto checked = check_listing(files); !checked) return require_rule(checked);
  require_safe(files);
  const auto again = parse_tree(tree_text(files));
  require(again && again->size() == files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    require((*again)[i].path == files[i].path && (*again)[i].etag() == files[i].etag() &&
            (*again)[i].size == files[i].size);
  }
}

void try_documents(const std::string& text) {
  if (const auto files = parse_tree(text)) {
    require_safe(*files);
  } else {
    require_rule(files);
  }
  if (const auto files = parse_manifest(text, "s3://bucket/a")) {
    require_safe(*files);
    for (const auto& file : *files) require(file.large());
  } else {
    require_rule(files);
  }
  std::vector<RemoteFile> objects;
  if (take_objects(text, "a/", objects) && check_listing(objects)) require_safe(objects);
}

void try_batch(const std::string& text) {
  const auto json = parse_json(text);
  if (!json) return;
  PushFile file{.path = "adapter_model.safetensors", .file = {}, .size = 10};
  file.sha256 = std::string(64, 'a');
  const auto object = object_for(*json, file);
  if (!object) return require_rule(object);
  for (const auto* name : {"upload", "verify"}) {
    const auto found = action(*object, name, kEndpoint);
    if (!found) continue;
    (void)origin_of(found->href);
    require(found->expires >= 0);
    const auto parts = read_parts(*found);
    require(!parts || parts->addresses.size() <= found->headers.size());
  }
}

/// Lines of "name: value", as the headers of one answer.
std::vector<Header> headers_of(std::string_view text) {
  std::vector<Header> headers;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
  }
  return headers;
}

void try_headers(const std::string& text) {
  Response response;
  response.headers = headers_of(text);
  response.text = text;
  const auto pause =
      read_pause(response.headers, std::chrono::system_clock::from_time_t(1'800'000'000));
  require(!pause.wait || (pause.wait->count() >= 1 && pause.wait->count() <= 100'000'001));
  require(!pause.hidden_quota || !pause.wait);
  const auto next = next_page(response.header("link"));
  require(next.find_first_of("<>") == std::string::npos);
  if (const auto url = resolve_url(std::string(kEndpoint) + "/api", at_endpoint(next, kEndpoint))) {
    require(url->rfind("http://", 0) == 0 || url->rfind("https://", 0) == 0);
  }
  for (const int status : {400, 401, 403, 404, 429, 500}) {
    response.status = status;
    const auto error = http_failure(response, "the list");
    require(!error.rule.empty() && error.http_status == status && error.message.size() < 8192);
    for (const char c : error.message) require(static_cast<unsigned char>(c) >= ' ');
  }
}

void try_xml(const std::string& text) {
  require(xml_text("<a>" + xml_escape(text) + "</a>", "a") == text);
  for (const auto* name : {"UploadId", "NextContinuationToken", "ETag"}) (void)xml_text(text, name);
  std::size_t at = 0;
  std::size_t count = 0;
  while (inner_xml(text, "Part", at)) require(++count <= text.size());
}

void try_card(const std::string& text) {
  const auto parts = format::split_card(text);
  if (!parts.has_front_matter) return;
  const auto block = format::parse_yaml_block(parts.yaml);
  const auto* base = block ? block->find("base_model") : nullptr;
  if (base != nullptr) (void)format::is_hub_id(base->text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  const std::string text(data, data + size);
  try_listing(text);
  try_documents(text);
  try_batch(text);
  try_headers(text);
  try_xml(text);
  try_card(text);
  return 0;
}
