// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// The calls of libcurl that are used here.
struct Curl {
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_free) free = nullptr;
  decltype(&::curl_getdate) getdate = nullptr;
  decltype(&::curl_global_init) global_init = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_url) url = nullptr;
  decltype(&::curl_url_cleanup) url_cleanup = nullptr;
  decltype(&::curl_url_get) url_get = nullptr;
  decltype(&::curl_url_set) url_set = nullptr;
  decltype(&::curl_version_info) version_info = nullptr;
};

/// libcurl, loaded and initialized by the first call, because it loads some thirty other libraries:
/// 3 of the 5 ms that a program takes to start, even if it never pushes. Null if it cannot be
/// loaded. Never unloaded. Safe for several threads.
const Curl* curl();

/// Why curl() is null (HB-3).
Error curl_missing();

}  // namespace ferrule::hub
