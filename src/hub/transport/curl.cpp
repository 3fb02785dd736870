// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/curl.hpp"

#include <dlfcn.h>

#include <string>

#include "ferrule/text.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

struct Loaded {
  Curl calls;
  std::string trouble;  // Empty: all is there.
};

template <typename Call>
void look_up(void* library, const char* name, Call& call, std::string& trouble) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what dlsym is for.
  call = reinterpret_cast<Call>(::dlsym(library, name));
  if (call == nullptr && trouble.empty()) trouble = std::string("it has no ") + name;
}

/// The libcurl of a wheel, for systems that have none: in PREFIX/lib/ferrule, seen from the command
/// in PREFIX/bin (or the module, after `pip install --target`) and from the module in
/// PREFIX/lib/python3.N/site-packages/ferrule. The loader puts in the folder of the program that
/// asks.
constexpr const char* kBundledBeside = "$ORIGIN/../lib/ferrule/libcurl.so.4";
constexpr const char* kBundledAbove = "$ORIGIN/../../../ferrule/libcurl.so.4";

Loaded load() {
  Loaded loaded;
  auto& trouble = loaded.trouble;
  void* library = nullptr;
  // What it was built against first; then the builds over other TLS libraries that Debian has. The
  // system's own come before a wheel's: the system keeps them up to date.
  for (const auto* name : {FERRULE_CURL_LIBRARY, "libcurl.so.4", "libcurl-gnutls.so.4",
                           kBundledBeside, kBundledAbove}) {
    library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    if (const char* said = ::dlerror(); said != nullptr && trouble.empty()) trouble = said;
  }
  if (library == nullptr) return loaded;
  trouble.clear();
  auto& calls = loaded.calls;
  look_up(library, "curl_easy_cleanup", calls.easy_cleanup, trouble);
  look_up(library, "curl_easy_init", calls.easy_init, trouble);
  look_up(library, "curl_easy_perform", calls.easy_perform, trouble);
  look_up(library, "curl_easy_reset", calls.easy_reset, trouble);
  look_up(library, "curl_easy_setopt", calls.easy_setopt, trouble);
  look_up(library, "curl_easy_strerror", calls.easy_strerror, trouble);
  look_up(library, "curl_free", calls.free, trouble);
  look_up(library, "curl_getdate", calls.getdate, trouble);
  look_up(library, "curl_global_init", calls.global_init, trouble);
  look_up(library, "curl_slist_append", calls.slist_append, trouble);
  look_up(library, "curl_slist_free_all", calls.slist_free_all, trouble);
  look_up(library, "curl_url", calls.url, trouble);
  look_up(library, "curl_url_cleanup", calls.url_cleanup, trouble);
  look_up(library, "curl_url_get", calls.url_get, trouble);
  look_up(library, "curl_url_set", calls.url_set, trouble);
  look_up(library, "curl_version_info", calls.version_info, trouble);
  if (trouble.empty() && calls.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    trouble = "it could not be set up";
  }
  return loaded;
}

const Loaded& loaded() {
  static const Loaded once = load();
  return once;
}

}  // namespace

const Curl* curl() { return loaded().trouble.empty() ? &loaded().calls : nullptr; }

Error curl_missing() {
  return fail(Failure::kNetwork, "libcurl, which the network needs, cannot be used: " +
                                     printable(loaded().trouble, 300));
}

}  // namespace ferrule::hub
