// SPDX-License-Identifier: Apache-2.0
// The only file that sends: one exchange over libcurl. When to send again is in http_retry.cpp.
#include "hub/transport/http.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "ferrule/version.hpp"
#include "hub/transport/curl.hpp"
#include "hub/transport/environment.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxHttpHeaderBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxWarningBytes = 1000;
constexpr std::size_t kMaxWarnings = 20;
constexpr std::size_t kMaxWordsBytes = std::size_t{64} << 10;

/// What the callbacks of one transfer share.
struct Transfer {
  const Request* request = nullptr;
  Response response;
  std::optional<Error> error;
  std::size_t header_bytes = 0;
  bool head_done = false;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::size_t take_header(const char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  transfer.header_bytes += bytes;
  if (transfer.header_bytes > kMaxHttpHeaderBytes) {
    transfer.error = fail(Failure::kBadAnswer, "the answer's headers are larger than 256 KiB");
    return 0;
  }
  std::string_view line(data, bytes);
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.rfind("HTTP/", 0) == 0) {
    transfer.response.headers.clear();  // They belong to a 100 Continue or a proxy's answer.
    const auto space = line.find(' ');
    transfer.response.status = space == std::string_view::npos
                                   ? 0
                                   : std::atoi(std::string(line.substr(space + 1, 3)).c_str());
    return bytes;
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    transfer.response.headers.push_back({lower(line.substr(0, colon)), std::string(value)});
  }
  return bytes;
}

/// Takes a piece of the body; false ends the transfer.
bool take_piece(Transfer& transfer, std::span<const std::byte> piece) {
  const auto& request = *transfer.request;
  auto& response = transfer.response;
  if (!response.ok()) {
    const auto room = kMaxWordsBytes - std::min(kMaxWordsBytes, response.text.size());
    const auto taken = std::min(room, piece.size());
    response.text.append(reinterpret_cast<const char*>(piece.data()), taken);
    return taken == piece.size();
  }
  if (request.sink) {
    if (auto taken = request.sink(piece); !taken) {
      transfer.error = std::move(taken).error();
      return false;
    }
    return true;
  }
  if (response.text.size() + piece.size() > request.limit) {
    transfer.error = fail(Failure::kBadAnswer, request.what + ": the answer is larger than " +
                                                   std::to_string(request.limit >> 20U) + " MiB");
    return false;
  }
  response.text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return true;
}

/// Calls on_head once; false ends the transfer.
bool tell_head(Transfer& transfer) {
  if (std::exchange(transfer.head_done, true) || !transfer.response.ok()) return true;
  if (!transfer.request->on_head) return true;
  auto taken = transfer.request->on_head(transfer.response);
  if (!taken) transfer.error = std::move(taken).error();
  return !transfer.error;
}

std::size_t take_body(const char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  const bool taken =
      tell_head(transfer) && take_piece(transfer, std::as_bytes(std::span(data, bytes)));
  return taken ? bytes : 0;
}

std::size_t give_body(char* out, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  auto got = transfer.request->body->read(std::as_writable_bytes(std::span(out, size * count)));
  if (got) return *got;
  transfer.error = std::move(got).error();
  return CURL_READFUNC_ABORT;
}

int rewind_body(void* user, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
  return transfer.request->body->rewind() ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

struct ListCloser {
  void operator()(curl_slist* list) const { curl()->slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListCloser>;

void add(List& list, const std::string& line) {
  auto* longer = curl()->slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)list.release();
  list.reset(longer);
}

void set_method(CURL* handle, const Request& request) {
  const auto size = static_cast<curl_off_t>(request.body != nullptr ? request.body->size() : 0);
  switch (request.method) {
    case Method::kGet:
      curl()->easy_setopt(handle, CURLOPT_HTTPGET, 1L);
      break;
    case Method::kHead:
      curl()->easy_setopt(handle, CURLOPT_NOBODY, 1L);
      break;
    case Method::kPost:
      curl()->easy_setopt(handle, CURLOPT_POST, 1L);
      curl()->easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, size);
      break;
    case Method::kDelete:
      curl()->easy_setopt(handle, CURLOPT_HTTPGET, 1L);
      curl()->easy_setopt(handle, CURLOPT_CUSTOMREQUEST, "DELETE");
      break;
    case Method::kPut:
      curl()->easy_setopt(handle, CURLOPT_UPLOAD, 1L);
      curl()->easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, size);
      break;
  }
}

/// Errors after which the server has certainly done nothing.
bool never_arrived(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION;
}

/// A line break would start another header.
bool is_header_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

/// The watcher that several connections and threads share, and the warnings that it has had.
struct Watching {
  std::mutex mutex;
  std::function<void(std::string_view)> told;
  std::function<bool()> cancelled;
  std::set<std::string, std::less<>> known;
};

struct Http::Rep {
  explicit Rep(const Settings& given, std::shared_ptr<Watching> shared)
      : settings(given), watching(std::move(shared)) {}
  Rep(const Rep&) = delete;
  Rep& operator=(const Rep&) = delete;
  ~Rep() {
    if (handle != nullptr) curl()->easy_cleanup(handle);
  }

  /// Makes `handle`, before the first exchange.
  Result<void> open();
  void prepare(const Request& request, Transfer& transfer);
  std::optional<Error> interruption() const;
  static int go_on(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<const Rep*>(user)->interruption() ? 1 : 0;
  }
  List header_list(const Request& request) const;
  Error failure(CURLcode code, const char* detail, const Request& request) const;
  /// Servers repeat what they were sent; the token must not be in messages.
  void redact(std::string& text) const;
  void pass_on_warnings(const Response& response);

  Settings settings;
  std::shared_ptr<Watching> watching;
  const Stop* stop = nullptr;
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> detail{};
};

std::optional<Error> Http::Rep::interruption() const {
  if (watching->cancelled && watching->cancelled()) return fail(Failure::kCancelled, "cancelled");
  if (stop != nullptr && stop->requested()) return stopped();
  return std::nullopt;
}

void Http::Rep::pass_on_warnings(const Response& response) {
  for (const auto& header : response.headers) {
    if (header.name != "x-hf-warning") continue;
    const std::lock_guard lock(watching->mutex);
    if (!watching->told || watching->known.size() >= kMaxWarnings) continue;
    auto words = header.value.substr(0, kMaxWarningBytes);
    redact(words);
    if (watching->known.insert(words).second) watching->told("the Hub says: " + words);
  }
}

void Http::watch(const Watcher& watcher) {
  const std::lock_guard lock(rep_->watching->mutex);
  rep_->watching->told = watcher.warning;
  rep_->watching->cancelled = watcher.cancelled;
}

std::optional<Error> Http::interruption() const { return rep_->interruption(); }

void Http::Rep::redact(std::string& text) const {
  if (settings.token.empty()) return;
  for (auto at = text.find(settings.token); at != std::string::npos;
       at = text.find(settings.token, at)) {
    text.replace(at, settings.token.size(), "***");
  }
}

List Http::Rep::header_list(const Request& request) const {
  List list;
  // libcurl 7.88 signs headers that are to be left out, too.
  const bool is_signed = !request.sign_as.empty();
  if (!is_signed) add(list, "Expect:");
  bool typed = false;
  for (const auto& [name, value] : request.headers) {
    typed = typed || lower(name) == "content-type";
    add(list, name + ": " + value);
  }
  if (request.body != nullptr && !typed && !is_signed) add(list, "Content-Type:");
  const auto origin = origin_of(request.url);
  if (request.with_token && !settings.token.empty() && origin &&
      origin == origin_of(settings.endpoint)) {
    add(list, "Authorization: Bearer " + settings.token);
  }
  return list;
}

Result<void> Http::Rep::open() {
  if (handle != nullptr) return {};
  if (curl() == nullptr) return curl_missing();
  handle = curl()->easy_init();
  if (handle == nullptr) throw std::bad_alloc();
  return {};
}

void Http::Rep::prepare(const Request& request, Transfer& transfer) {
  curl()->easy_reset(handle);  // Connections stay open.
  const auto silence = request.silence.count() > 0 ? request.silence : settings.answer_timeout;
  const auto agent = "ferrule/" + std::string(version()) + "; libcurl/" +
                     curl()->version_info(CURLVERSION_NOW)->version;
  curl()->easy_setopt(handle, CURLOPT_USERAGENT, agent.c_str());
  curl()->easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl()->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  // Asks for plain bytes; a server that compresses them anyway is understood.
  curl()->easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "identity");
  curl()->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl()->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl()->easy_setopt(handle, CURLOPT_ERRORBUFFER, detail.data());
  curl()->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT,
                      static_cast<long>(settings.connect_timeout.count()));
  // A server that sends a byte a second to keep us waiting counts as silent.
  curl()->easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 16L);
  curl()->easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(silence.count()));
  curl()->easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
  curl()->easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl()->easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
  curl()->easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  if (request.body != nullptr) {
    curl()->easy_setopt(handle, CURLOPT_READFUNCTION, give_body);
    curl()->easy_setopt(handle, CURLOPT_READDATA, &transfer);
    curl()->easy_setopt(handle, CURLOPT_SEEKFUNCTION, rewind_body);
    curl()->easy_setopt(handle, CURLOPT_SEEKDATA, &transfer);
  }
  if (stop != nullptr || watching->cancelled) {
    curl()->easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl()->easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, go_on);
    curl()->easy_setopt(handle, CURLOPT_XFERINFODATA, this);
  }
  set_method(handle, request);
  // libcurl itself repeats a request on a connection that was kept open if it got no answer.
  if (request.repeat == Repeat::kUnsafe) curl()->easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
  if (!request.sign_as.empty()) {
    curl()->easy_setopt(handle, CURLOPT_AWS_SIGV4, request.sign_for.c_str());
    curl()->easy_setopt(handle, CURLOPT_USERPWD, request.sign_as.c_str());
  }
  if (const auto proxy = capital_proxy(request.url); !proxy.empty()) {
    curl()->easy_setopt(handle, CURLOPT_PROXY, proxy.c_str());
  }
  if (const auto file = certificates(); !file.empty()) {
    curl()->easy_setopt(handle, CURLOPT_CAINFO, file.c_str());
  }
}

Error Http::Rep::failure(CURLcode code, const char* said, const Request& request) const {
  const std::string reason = said[0] != '\0' ? said : curl()->easy_strerror(code);
  auto error =
      fail(Failure::kNetwork, request.what + ": no answer from " +
                                  printable(origin_of(request.url).value_or("the server"), 200) +
                                  ": " + printable(reason, 300));
  error.system_errno = never_arrived(code) ? 0 : kMaybeDone;
  redact(error.message);
  return error;
}

Http::Http(const Settings& settings)
    : rep_(std::make_unique<Rep>(settings, std::make_shared<Watching>())) {}
Http::Http(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
Http Http::another() const { return Http(std::make_unique<Rep>(rep_->settings, rep_->watching)); }
Http::Http(Http&&) noexcept = default;
Http& Http::operator=(Http&&) noexcept = default;
Http::~Http() = default;

const Settings& Http::settings() const noexcept { return rep_->settings; }
void Http::heed(const Stop* stop) noexcept { rep_->stop = stop; }

Result<Response> Http::exchange(const Request& request) {
  if (rep_->settings.offline) {
    return fail(Failure::kOffline, request.what + ": offline, so no request is made");
  }
  FERRULE_CHECK(rep_->open());
  if (!origin_of(request.url)) {
    return fail(Failure::kBadAnswer, request.what + ": not an http or https address: " +
                                         quote(without_query(request.url), 200));
  }
  if (request.with_token && !is_header_text(rep_->settings.token)) {
    return fail(
        Failure::kAuthentication,
        request.what + ": the token has characters that cannot be in a token; nothing was sent");
  }
  if (auto interrupted = interruption()) {
    interrupted->message = request.what + ": " + interrupted->message + ", not sent";
    return std::move(*interrupted);
  }
  Transfer transfer;
  transfer.request = &request;
  transfer.response.url = request.url;
  if (request.body != nullptr) FERRULE_CHECK(request.body->rewind());
  rep_->prepare(request, transfer);
  const auto headers = rep_->header_list(request);
  curl()->easy_setopt(rep_->handle, CURLOPT_HTTPHEADER, headers.get());
  rep_->detail[0] = '\0';
  const auto code = curl()->easy_perform(rep_->handle);
  rep_->redact(transfer.response.text);
  for (auto& header : transfer.response.headers) {
    if (!transfer.response.ok()) rep_->redact(header.value);
  }
  if (transfer.error) return std::move(*transfer.error);
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    if (rep_->stop != nullptr && rep_->stop->requested()) return stopped();
    return fail(Failure::kCancelled,
                request.what + ": cancelled; what was being sent may have arrived");
  }
  if (code != CURLE_OK) {
    // A refusal is an answer if as much of it arrived as is ever read.
    const bool refused = transfer.response.status >= 300 && code != CURLE_OPERATION_TIMEDOUT;
    if (!refused) return rep_->failure(code, rep_->detail.data(), request);
  }
  if (!tell_head(transfer)) return std::move(*transfer.error);
  rep_->pass_on_warnings(transfer.response);
  return std::move(transfer.response);
}

}  // namespace ferrule::hub
