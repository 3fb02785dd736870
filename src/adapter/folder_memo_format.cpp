// SPDX-License-Identifier: Apache-2.0
// The file of a FolderMemo: numbers of eight bytes as the machine has them, texts after their
// length, and a CRC-32 of everything at the end. It is read by the machine that wrote it.
#include <cstring>
#include <span>
#include <unordered_map>
#include <utility>

#include "adapter/folder_memo.hpp"
#include "format/zip/crc32.hpp"

namespace ferrule::adapter {
namespace {

constexpr std::string_view kMagic = "ferrule folder memo 2\n";

std::uint64_t sum_of(std::string_view text) {
  return format::crc32(0, std::as_bytes(std::span(text.data(), text.size())));
}

class MemoWriter {
 public:
  void number(std::uint64_t value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(std::string_view value) {
    number(value.size());
    out_ += value;
  }
  template <typename Value, typename Write>
  void optional(const std::optional<Value>& value, Write write) {
    number(value ? 1 : 0);
    if (value) write(*value);
  }
  void identity(const io::FileIdentity& file) {
    for (const auto value : {file.device, file.inode, file.size}) number(value);
    for (const auto time : {file.modified_ns, file.changed_ns}) {
      number(static_cast<std::uint64_t>(time));
    }
  }
  std::string take() && { return std::move(out_); }

 private:
  std::string out_{kMagic};
};

/// Reads as long as there is something to read; then everything is zero, and it has failed.
class MemoReader {
 public:
  explicit MemoReader(std::string_view text) : left_(text) {}

  bool failed() const noexcept { return failed_; }
  bool at_end() const noexcept { return left_.empty(); }
  void fail() noexcept { failed_ = true; }

  std::uint64_t number() {
    std::uint64_t value = 0;
    if (left_.size() < sizeof(value)) {
      failed_ = true;
      left_ = {};
      return 0;
    }
    std::memcpy(&value, left_.data(), sizeof(value));
    left_.remove_prefix(sizeof(value));
    return value;
  }
  /// How many of something follow that takes at least `bytes` each.
  std::size_t count(std::size_t bytes) {
    const auto value = number();
    if (value > left_.size() / bytes) {
      failed_ = true;
      return 0;
    }
    return static_cast<std::size_t>(value);
  }
  std::string_view text() {
    const auto size = count(1);
    const auto value = left_.substr(0, size);
    left_.remove_prefix(size);
    return value;
  }
  io::FileIdentity identity() {
    io::FileIdentity file;
    for (auto* value : {&file.device, &file.inode, &file.size}) *value = number();
    for (auto* time : {&file.modified_ns, &file.changed_ns}) {
      *time = static_cast<std::int64_t>(number());
    }
    return file;
  }

 private:
  std::string_view left_;
  bool failed_ = false;
};

void write_finding(MemoWriter& out, const Finding& finding, FindingPlace place) {
  out.number(static_cast<std::uint64_t>(finding.severity));
  out.number(static_cast<std::uint64_t>(place));
  for (const auto* field :
       {&finding.rule, &finding.key, &finding.message, &finding.advice, &finding.module}) {
    out.text(*field);
  }
}

void write_summary(MemoWriter& out, const SummaryTemplate& shared) {
  const auto& summary = shared.summary;
  const auto text = [&](const std::string& value) { out.text(value); };
  out.text(summary.peft_type);
  out.optional(summary.task_type, text);
  out.optional(summary.base_model, text);
  out.optional(summary.rank,
               [&](std::int64_t value) { out.number(static_cast<std::uint64_t>(value)); });
  out.optional(summary.alpha, [&](double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    out.number(bits);
  });
  out.text(summary.weights_file);
  out.number(summary.file_bytes);
  const auto& totals = summary.totals;
  for (const auto value : {totals.tensors, totals.parameters, totals.bytes}) out.number(value);
  out.number(totals.dtypes.size());
  for (const auto& [dtype, count] : totals.dtypes) {
    out.text(dtype_name(dtype));
    out.number(count);
  }
  out.number(summary.findings.size());
  for (std::size_t i = 0; i < summary.findings.size(); ++i) {
    write_finding(out, summary.findings[i], shared.places[i]);
  }
}

Finding read_finding(MemoReader& in, FindingPlace& place) {
  Finding finding;
  const auto severity = in.number();
  const auto where = in.number();
  if (severity > static_cast<std::uint64_t>(Severity::kNote) ||
      where > static_cast<std::uint64_t>(FindingPlace::kWeights)) {
    in.fail();
  }
  finding.severity = static_cast<Severity>(severity & 3U);
  place = static_cast<FindingPlace>(where & 3U);
  for (auto* field :
       {&finding.rule, &finding.key, &finding.message, &finding.advice, &finding.module}) {
    *field = in.text();
  }
  return finding;
}

SummaryTemplate read_summary(MemoReader& in) {
  SummaryTemplate shared;
  auto& summary = shared.summary;
  summary.peft_type = in.text();
  if (in.number() != 0) summary.task_type = in.text();
  if (in.number() != 0) summary.base_model = in.text();
  if (in.number() != 0) summary.rank = static_cast<std::int64_t>(in.number());
  if (in.number() != 0) {
    const auto bits = in.number();
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    summary.alpha = value;
  }
  summary.weights_file = in.text();
  summary.file_bytes = in.number();
  auto& totals = summary.totals;
  for (auto* value : {&totals.tensors, &totals.parameters, &totals.bytes}) *value = in.number();
  for (auto left = in.count(2 * sizeof(std::uint64_t)); left > 0; --left) {
    const auto dtype = dtype_from_name(in.text());
    const auto count = in.number();
    if (!dtype) {
      in.fail();
      break;
    }
    totals.dtypes[*dtype] = count;
  }
  for (auto left = in.count(7 * sizeof(std::uint64_t)); left > 0 && !in.failed(); --left) {
    summary.findings.push_back(read_finding(in, shared.places.emplace_back()));
  }
  return shared;
}

}  // namespace

std::string encode_memo(std::span<const RememberedAdapter> adapters, std::string_view stamp) {
  std::unordered_map<const SummaryTemplate*, std::uint64_t> numbers;
  std::vector<const SummaryTemplate*> summaries;
  for (const auto& known : adapters) {
    if (numbers.emplace(known.summary, summaries.size()).second) {
      summaries.push_back(known.summary);
    }
  }
  MemoWriter out;
  out.text(stamp);
  out.number(summaries.size());
  for (const auto* summary : summaries) write_summary(out, *summary);
  out.number(adapters.size());
  for (const auto& known : adapters) {
    out.text(known.path);
    out.optional(known.base_model, [&](std::string_view value) { out.text(value); });
    for (const auto* file : {&known.directory, &known.config, &known.weights}) out.identity(*file);
    out.number(numbers[known.summary]);
  }
  auto text = std::move(out).take();
  const auto sum = sum_of(text);
  text.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  return text;
}

std::optional<MemoContent> decode_memo(std::string_view text, std::string_view stamp) {
  constexpr std::size_t kSum = sizeof(std::uint64_t);
  if (!text.starts_with(kMagic) || text.size() < kMagic.size() + kSum) return std::nullopt;
  std::uint64_t sum = 0;
  std::memcpy(&sum, text.data() + text.size() - kSum, kSum);
  text.remove_suffix(kSum);
  if (sum_of(text) != sum) return std::nullopt;
  MemoReader in(text.substr(kMagic.size()));
  if (in.text() != stamp) return std::nullopt;
  MemoContent content;
  for (auto left = in.count(11 * sizeof(std::uint64_t)); left > 0 && !in.failed(); --left) {
    content.summaries.push_back(read_summary(in));
  }
  auto& adapters = content.adapters;
  const auto count = in.count(18 * sizeof(std::uint64_t));
  adapters.reserve(count);
  for (auto left = count; left > 0 && !in.failed(); --left) {
    auto& known = adapters.emplace_back();
    known.path = in.text();
    if (in.number() != 0) known.base_model = in.text();
    for (auto* file : {&known.directory, &known.config, &known.weights}) *file = in.identity();
    const auto summary = in.number();
    if (summary >= content.summaries.size()) return std::nullopt;
    known.summary = &content.summaries[static_cast<std::size_t>(summary)];
    if (adapters.size() > 1 && known.path <= adapters[adapters.size() - 2].path)
      return std::nullopt;
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return content;
}

}  // namespace ferrule::adapter
