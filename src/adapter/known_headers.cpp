// SPDX-License-Identifier: Apache-2.0
#include "adapter/known_headers.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <span>
#include <utility>

#include "adapter/summarize.hpp"
#include "base/try.hpp"
#include "container/container.hpp"
#include "container/safetensors_file_access.hpp"
#include "ferrule/file_names.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "io/open_regular.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

// Larger ones are read in the usual way.
constexpr std::size_t kMaxConfig = std::size_t{32} << 10;
constexpr std::size_t kMaxHeader = std::size_t{64} << 10;
// Most headers; what is read of a file before its length is known.
constexpr std::size_t kHead = std::size_t{16} << 10;
constexpr std::size_t kMaxKnown = 64;

/// Where the files of one adapter are read into: one for each thread.
struct Buffers {
  std::array<char, kMaxConfig> config;
  std::array<char, kMaxHeader> header;
};

Buffers& buffers() {
  thread_local const auto mine = std::make_unique<Buffers>();
  return *mine;
}

std::string_view view_of(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

/// The first bytes of a file; nullopt if they are not all there.
bool read_into(const io::OpenedFile& file, std::uint64_t offset, std::span<char> out,
               const fs::path& path) {
  return io::read_fully(file.fd.get(), offset, std::as_writable_bytes(out), path).has_value();
}

/// The length and the header of a safetensors file, if both fit.
std::optional<std::string_view> read_header(const io::OpenedFile& file, std::span<char> buffer,
                                            const ReadLimits& limits, const fs::path& path) {
  const auto have = static_cast<std::size_t>(std::min<std::uint64_t>(file.size, kHead));
  if (!read_into(file, 0, buffer.first(have), path)) return std::nullopt;
  const auto length = format::header_length(std::as_bytes(buffer.first(have)), file.size, limits);
  if (!length || *length > buffer.size() - format::kHeaderLengthBytes) return std::nullopt;
  const auto wanted = static_cast<std::size_t>(format::kHeaderLengthBytes + *length);
  if (wanted > have && !read_into(file, have, buffer.subspan(have, wanted - have), path)) {
    return std::nullopt;
  }
  return view_of(buffer.first(wanted));
}

bool holds(const std::vector<std::string>& files, std::string_view name) {
  return std::find(files.begin(), files.end(), name) != files.end();
}

/// True if a JSON string of these bytes means just them.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
}

/// Where the name of the base model is in a config that has this one: its only mention, in plain
/// text. Any other plain name there makes a config that differs in nothing else.
std::optional<std::size_t> find_base_model(std::string_view config, std::string_view name) {
  constexpr std::string_view kKey = "\"base_model_name_or_path\"";
  constexpr std::string_view kSpace = " \t\r\n";
  if (!is_plain(name) || config.find('\\') != config.npos) return std::nullopt;
  const auto key = config.find(kKey);
  if (key == config.npos || config.find(kKey, key + 1) != config.npos) return std::nullopt;
  auto at = config.find_first_not_of(kSpace, key + kKey.size());
  if (at == config.npos || config[at] != ':') return std::nullopt;
  at = config.find_first_not_of(kSpace, at + 1);
  if (at == config.npos || config[at] != '"') return std::nullopt;
  const auto rest = config.substr(at + 1);
  if (!rest.starts_with(name) || !rest.substr(name.size()).starts_with('"')) return std::nullopt;
  return at + 1;
}

}  // namespace

bool KnownHeaders::Known::fits(const Headers& headers) const {
  const auto config = headers.config;
  if (!config.starts_with(before)) return false;
  if (!after) {
    if (config.size() != before.size()) return false;
  } else if (config.size() <= before.size() + after->size() || !config.ends_with(*after) ||
             !is_plain(*base_model(config))) {
    return false;
  }
  return file_bytes == headers.file_bytes && header == headers.header;
}

std::optional<std::string_view> KnownHeaders::Known::base_model(std::string_view config) const {
  if (!after) return std::nullopt;
  return config.substr(before.size(), config.size() - before.size() - after->size());
}

std::optional<ReadSummary> KnownHeaders::read(const fs::path& directory,
                                              const io::Listing& listing) {
  // A save that was interrupted is finished in the usual way (TX-6).
  if (listing.fd < 0 || !listing.ours.empty() || options_.backing != Backing::kMap ||
      !holds(listing.files, kConfigFile) || !holds(listing.files, kSafetensorsFile)) {
    return std::nullopt;
  }
  ReadSummary made;
  auto& memory = buffers();
  const auto config = io::open_regular(listing.fd, kConfigFile, directory);
  if (!config || config->size > kMaxConfig || config->size > options_.limits.text_bytes) {
    return std::nullopt;
  }
  const auto text = std::span(memory.config).first(static_cast<std::size_t>(config->size));
  if (!read_into(*config, 0, text, directory)) return std::nullopt;
  const auto weights = io::open_regular(listing.fd, kSafetensorsFile, directory);
  if (!weights) return std::nullopt;
  const auto header = read_header(*weights, memory.header, options_.limits, directory);
  if (!header) return std::nullopt;

  made.config = config->identity;
  made.weights = weights->identity;
  const Headers headers{view_of(text), *header, weights->size};
  if (find(headers, made)) return made;
  made.own = examine(directory, headers);
  if (made.own == nullptr) return std::nullopt;
  if (auto shared = SummaryTemplate::of(*made.own)) {
    made.shared = keep(headers, std::move(*shared));
    made.own = nullptr;
  }
  return made;
}

std::unique_ptr<AdapterSummary> KnownHeaders::examine(const fs::path& directory,
                                                      const Headers& headers) const {
  auto config = AdapterConfig::parse(headers.config, directory / kConfigFile);
  if (!config) return nullptr;
  auto file =
      SafetensorsFileAccess::from_header(headers.header, headers.file_bytes, options_.limits);
  // Another file may hold the tensors of one that is empty.
  if (!file || container::is_hollow(*file)) return nullptr;
  const auto adapter =
      Adapter::make(std::move(*config), std::make_unique<SafetensorsFile>(std::move(*file)),
                    {.directory = directory,
                     .weights_file = directory / kSafetensorsFile,
                     .metadata = {},
                     .file_bytes = headers.file_bytes});
  if (!adapter) return nullptr;
  return std::make_unique<AdapterSummary>(summarize(*adapter, directory));
}

bool KnownHeaders::find(const Headers& headers, ReadSummary& found) {
  const std::shared_lock lock(mutex_);
  const auto start = last_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const auto at = (start + i) % known_.size();
    const auto& known = known_[at];
    if (!known.fits(headers)) continue;
    if (i != 0) last_.store(at, std::memory_order_relaxed);
    found.shared = known.summary;
    found.base_model = known.base_model(headers.config);
    return true;
  }
  return false;
}

const SummaryTemplate* KnownHeaders::keep(const Headers& headers, SummaryTemplate summary) {
  Known made{std::string(headers.config), {}, std::string(headers.header), headers.file_bytes};
  const auto base = summary.summary.base_model.value_or("");
  const auto at = find_base_model(headers.config, base);
  if (at && !summary.mentions(base)) {
    made.after = made.before.substr(*at + base.size());
    made.before.resize(*at);
  }
  const std::unique_lock lock(mutex_);
  made.summary = &summaries_.emplace_back(std::move(summary));
  auto& place = known_.size() < kMaxKnown ? known_.emplace_back() : known_[oldest_];
  if (known_.size() == kMaxKnown) oldest_ = (oldest_ + 1) % kMaxKnown;
  place = std::move(made);
  return place.summary;
}

}  // namespace ferrule::adapter
