// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/object_store.hpp"

#include <cstdlib>
#include <initializer_list>

#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/curl.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

std::string first_of(std::initializer_list<const char*> names) {
  for (const auto* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

}  // namespace

bool is_object_store(std::string_view text) noexcept {
  return text.rfind("s3://", 0) == 0 || text.rfind("https://", 0) == 0 ||
         text.rfind("http://", 0) == 0;
}

Result<ObjectStore> ObjectStore::open(const std::string& text) {
  ObjectStore store;
  store.name = text;
  while (store.name.ends_with('/')) store.name.pop_back();
  if (store.name.rfind("s3://", 0) != 0) {
    if (curl() == nullptr) return curl_missing();
    if (!origin_of(store.name) || store.name.find_first_of("?#") != std::string::npos) {
      return fail(Failure::kUsage,
                  "expected the address of a folder, found " + quote(without_query(text)));
    }
    store.url = store.name;
    return store;
  }
  const auto rest = store.name.substr(5);
  const auto slash = rest.find('/');
  const auto bucket = rest.substr(0, slash);
  const auto prefix = slash == std::string::npos ? std::string() : rest.substr(slash + 1);
  const bool plain = !bucket.empty() && bucket.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyz"
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789.-_") == std::string::npos;
  if (!plain || (!prefix.empty() && !is_safe_path(prefix))) {
    return fail(Failure::kUsage, "expected s3://bucket/prefix, found " + quote(text));
  }
  auto region = first_of({"AWS_REGION", "AWS_DEFAULT_REGION"});
  if (region.empty()) region = "us-east-1";
  auto endpoint = first_of({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  while (endpoint.ends_with('/')) endpoint.pop_back();
  store.bucket = bucket;
  store.prefix = prefix;
  store.url = endpoint.empty() ? "https://s3." + region + ".amazonaws.com/" + bucket
                               : endpoint + "/" + bucket;
  if (!prefix.empty()) store.url += "/" + percent_encode(prefix, true);
  const auto key = first_of({"AWS_ACCESS_KEY_ID"});
  const auto secret = first_of({"AWS_SECRET_ACCESS_KEY"});
  if (!key.empty() && !secret.empty()) {
    store.sign_as = key + ":" + secret;
    store.sign_for = "aws:amz:" + region + ":s3";
    store.session_token = first_of({"AWS_SESSION_TOKEN"});
  }
  store.writable = true;
  return store;
}

std::string ObjectStore::bucket_url() const {
  return prefix.empty() ? url : url.substr(0, url.size() - 1 - percent_encode(prefix, true).size());
}

std::string ObjectStore::copy_source(const std::string& path) const {
  return "/" + bucket + "/" + percent_encode(prefix.empty() ? path : prefix + "/" + path, true);
}

Request ObjectStore::request(Method method, std::string_view path,
                             std::string_view payload_sha256) const {
  Request out;
  out.method = method;
  out.url = url + "/" + percent_encode(path, true);
  out.what = std::string(path) + " of " + name;
  if (!sign_as.empty()) {
    out.sign_as = sign_as;
    out.sign_for = sign_for;
    out.headers.emplace_back("x-amz-content-sha256", std::string(payload_sha256));
    if (!session_token.empty()) out.headers.emplace_back("x-amz-security-token", session_token);
  }
  return out;
}

}  // namespace ferrule::hub
