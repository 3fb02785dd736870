// SPDX-License-Identifier: Apache-2.0
#include "commands/fleet.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <utility>

#include "exit_code.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "print/failure.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::uint64_t kMaxResults = std::uint64_t{4} << 30;
constexpr unsigned kMaxJobs = 1024;

std::string status_of(int code) {
  if (code == kGood) return "good";
  return code == kBad ? "bad" : "error";
}

/// RESULTS: what is in it, and the end of it that new lines are added to.
class Results {
 public:
  Results() = default;
  Results(const Results&) = delete;
  Results& operator=(const Results&) = delete;
  ~Results() {
    if (file_ != nullptr) std::fclose(file_);
  }

  /// A file that is missing has no results yet. A torn last line, of a run that was killed, counts
  /// as none.
  std::optional<Error> open(const std::string& path) {
    const auto text = read_text_file(path, kMaxResults);
    if (!text && text.error().code != ErrorCode::kNotFound) return text.error();
    bool ends_line = true;
    if (text) {
      read(*text);
      ends_line = text->empty() || text->back() == '\n';
    }
    file_ = std::fopen(path.c_str(), "a");
    if (file_ == nullptr) {
      return Error{.code = ErrorCode::kIo, .message = "cannot be written to", .path = path};
    }
    path_ = path;
    if (!ends_line) std::fputc('\n', file_);
    // `>> RESULTS` of the shell: the line is there once already.
    struct stat here = {};
    struct stat out = {};
    if (::fstat(::fileno(file_), &here) == 0 && ::fstat(STDOUT_FILENO, &out) == 0 &&
        here.st_dev == out.st_dev && here.st_ino == out.st_ino) {
      std::fflush(file_);
      std::fclose(file_);
      file_ = nullptr;
    }
    return std::nullopt;
  }

  bool has(const std::string& path) const { return codes_.contains(path); }
  int worst() const {
    int worst = kGood;
    for (const auto& [path, code] : codes_) worst = std::max(worst, code);
    return worst;
  }

  /// False if the line is not in the file: a full disk.
  bool add(const std::string& line) {
    if (file_ == nullptr) return true;
    const auto written = std::fwrite(line.data(), 1, line.size(), file_);
    return std::fflush(file_) == 0 && written == line.size();
  }
  Error full() const {
    return Error{.code = ErrorCode::kIo, .message = "cannot be written to", .path = path_};
  }

 private:
  void read(const std::string& text) {
    for (std::size_t start = 0; start < text.size();) {
      const auto end = std::min(text.find('\n', start), text.size());
      const auto line = Json::parse(std::string_view(text).substr(start, end - start));
      start = end + 1;
      const auto* path = line ? line->find("path") : nullptr;
      const auto* code = line ? line->find("exit") : nullptr;
      if (path == nullptr || path->if_string() == nullptr || code == nullptr ||
          code->if_int64() == nullptr) {
        continue;
      }
      // What the system refused is tried again.
      const auto value = static_cast<int>(*code->if_int64());
      if (value == kGood || value == kBad) codes_[*path->if_string()] = value;
    }
  }

  std::map<std::string, int> codes_;
  std::string path_;
  std::FILE* file_ = nullptr;
};

std::string read_jobs(const std::string& text, unsigned& jobs) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), jobs);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && jobs <= kMaxJobs ? std::string()
                                   : "expected a number of threads, 0 (one for each core) to 1024";
}

}  // namespace

void Fleet::add_to(Arguments& command) {
  command
      .option("--jobs", jobs_text_, "N",
              "How many items are worked on at once; 0 is one for each core (default: 1)")
      .check([this](const std::string& text) { return read_jobs(text, jobs_); });
  command.flag("--jsonl", jsonl_, "Print one line of JSON for each path as soon as it is done");
  command.option("--resume", resume_, "RESULTS",
                 "Leave out what this file of such lines has already, and add to it; implies "
                 "--jsonl");
}

int Fleet::run(const std::vector<std::string>& listed,
               const std::function<FleetAnswer(const std::string&)>& answer) const {
  Results results;
  if (!resume_.empty()) {
    if (const auto error = results.open(resume_)) return fail(*error, false);
  }
  std::vector<std::string> paths;
  std::unordered_set<std::string_view> known;
  for (const auto& path : listed) {
    if (!results.has(path) && known.insert(path).second) paths.push_back(path);
  }
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> is_full{false};
  int worst = results.worst();
  const auto work = [&] {
    for (auto i = next++; i < paths.size() && !is_full; i = next++) {
      const auto& path = paths[i];
      auto done = answer(path);
      if (is_interrupted()) return;  // What was canceled is no answer.
      Json::Object line{{"path", path}, {"status", status_of(done.code)}, {"exit", done.code}};
      for (auto& member : done.fields) {
        if (member.first != "path") line.push_back(std::move(member));
      }
      const auto text = Json(std::move(line)).dump() + "\n";
      const std::lock_guard lock(mutex);
      worst = std::max(worst, done.code);
      print(Stream::kOut, text);
      if (!results.add(text)) is_full = true;
    }
  };
  auto threads = jobs_ == 0 ? std::max(1U, std::thread::hardware_concurrency()) : jobs_;
  threads = static_cast<unsigned>(std::min<std::size_t>(threads, paths.size()));
  std::vector<std::thread> workers;
  try {
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
  } catch (const std::system_error&) {
    // Those that there are do the work.
  }
  work();
  for (auto& worker : workers) worker.join();
  return is_full ? fail(results.full(), false) : worst;
}

}  // namespace ferrule::cli
