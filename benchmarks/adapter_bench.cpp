// SPDX-License-Identifier: Apache-2.0
// Our half of adapter_bench.py: reads lines "ACTION PATH [PATH]" and answers each with the
// nanoseconds it took and a number that both halves must agree on.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ferrule/convert.hpp"
#include "ferrule/inspect.hpp"

namespace {

/// Converts one adapter into a directory of its own; as many tensors as were written.
std::optional<double> convert(const std::string& from, const std::string& to,
                              ferrule::Durability durability) {
  const auto report = ferrule::convert(from, to, {.durability = durability});
  if (!report || report->adapters.empty()) return std::nullopt;
  return static_cast<double>(report->adapters[0].tensors);
}

/// The system calls of listing a folder of adapters, and nothing else: what is read is not looked
/// at. With a memo, the calls that show that nothing has changed.
class Floor {
 public:
  Floor(const std::string& folder, bool memo)
      : root_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), memo_(memo) {}
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;
  ~Floor() { ::close(root_); }

  /// As many adapters as were looked at.
  double run() {
    names_ = list(root_);
    const auto threads = std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::thread> helpers;
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back([this] { work(); });
    work();
    for (auto& helper : helpers) helper.join();
    return static_cast<double>(names_.size());
  }

 private:
  /// By inode, as the library does it.
  static std::vector<std::string> list(int fd) {
    std::vector<std::pair<std::uint64_t, std::string>> found;
    std::array<char, 32768> buffer;
    for (long got = 0; (got = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size())) > 0;) {
      for (long at = 0; at < got;) {
        const char* const entry = buffer.data() + at;
        unsigned short length = 0;
        std::memcpy(&length, entry + 16, sizeof(length));
        std::uint64_t inode = 0;
        std::memcpy(&inode, entry, sizeof(inode));
        if (entry[19] != '.') found.emplace_back(inode, entry + 19);
        at += length;
      }
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    names.reserve(found.size());
    for (auto& [inode, name] : found) names.push_back(std::move(name));
    return names;
  }

  void work() {
    constexpr std::size_t kShare = 16;
    for (std::size_t from = 0; (from = next_.fetch_add(kShare)) < names_.size();) {
      const auto to = std::min(names_.size(), from + kShare);
      for (auto i = from; i < to; ++i) memo_ ? look(names_[i]) : read(names_[i]);
    }
  }

  void look(const std::string& name) const {
    struct stat info {};
    for (const auto* file : {"", "/adapter_config.json", "/adapter_model.safetensors"}) {
      if (::fstatat(root_, (name + file).c_str(), &info, 0) != 0) std::exit(1);
    }
  }

  void read(const std::string& name) const {
    thread_local std::array<char, 16384> buffer;
    struct stat info {};
    const int folder = ::openat(root_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ::fstat(folder, &info);
    while (::syscall(SYS_getdents64, folder, buffer.data(), buffer.size()) > 0) {
    }
    for (const auto* file : {"adapter_config.json", "adapter_model.safetensors"}) {
      const int fd = ::openat(folder, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
      ::fstat(fd, &info);
      if (::pread(fd, buffer.data(), buffer.size(), 0) <= 0) std::exit(1);
      ::close(fd);
    }
    ::close(folder);
  }

  const int root_;
  const bool memo_;
  std::vector<std::string> names_;
  std::atomic<std::size_t> next_ = 0;
};

struct Answer {
  std::int64_t nanoseconds = 0;
  double found = 0;
};

/// The time without what it takes to drop the answer.
template <typename Call>
auto timed(std::int64_t& nanoseconds, Call call) {
  const auto start = std::chrono::steady_clock::now();
  auto answer = call();
  const auto elapsed = std::chrono::steady_clock::now() - start;
  nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
  return answer;
}

/// Lists and verifies a folder; as many tensors as its adapters have, all of them good.
std::optional<Answer> folder(const std::string& path, const std::string& memo) {
  ferrule::FolderOptions options;
  options.threads = 0;
  options.memo = memo;
  Answer answer;
  const auto summary =
      timed(answer.nanoseconds, [&] { return ferrule::inspect_folder(path, options); });
  if (!summary || summary->bad() != 0) return std::nullopt;
  answer.found = static_cast<double>(summary->totals().tensors);
  return answer;
}

std::optional<Answer> run(const std::string& action, const std::string& from,
                          const std::string& to) {
  if (action == "folder") return folder(from, to);
  Answer answer;
  if (action == "floor" || action == "floor_memo") {
    answer.found = timed(answer.nanoseconds, [&] { return Floor(from, action != "floor").run(); });
    return answer;
  }
  const bool fast = action == "convert_fast";
  if (!fast && action != "convert_safe") return std::nullopt;
  const auto tensors = timed(answer.nanoseconds, [&] {
    return convert(from, to, fast ? ferrule::Durability::kFast : ferrule::Durability::kSafe);
  });
  if (!tensors) return std::nullopt;
  answer.found = *tensors;
  return answer;
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string action;
    std::string from;
    std::string to;
    words >> action >> from >> to;
    const auto answer = run(action, from, to);
    if (!answer) return 1;
    std::printf("%lld %.17g\n", static_cast<long long>(answer->nanoseconds), answer->found);
    std::fflush(stdout);
  }
  return 0;
}
