// SPDX-License-Identifier: Apache-2.0
// What a push pays for knowing its files: many files hashed at once against one stream, and files
// that the memo knows against hashing them. See README.md beside this file.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "hub/files/digest_memo.hpp"

namespace {

using namespace ferrule;
using Clock = std::chrono::steady_clock;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "digest_bench: %s\n", why.c_str());
  std::exit(1);
}

double digest(std::vector<hub::DigestJob>& jobs, hub::DigestMemo& memo, bool at_once) {
  const auto start = Clock::now();
  if (at_once) {
    if (auto done = hub::digest_files(jobs, memo); !done) stop(done.error().to_string());
  } else {
    for (auto& job : jobs) {
      if (auto done = hub::digest_files({&job, 1}, memo); !done) stop(done.error().to_string());
    }
  }
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const auto rounds = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 9;
  constexpr std::size_t kFiles = 8;
  constexpr std::size_t kMegabytes = 42;
  std::string pattern = (std::filesystem::temp_directory_path() / "digest-bench-XXXXXX").string();
  if (rounds == 0 || ::mkdtemp(pattern.data()) == nullptr) stop("cannot begin");
  const std::filesystem::path folder(pattern);
  std::vector<hub::DigestJob> jobs;
  for (std::size_t i = 0; i < kFiles; ++i) {
    std::string text(kMegabytes * 1'000'000, static_cast<char>('a' + i));
    jobs.push_back({folder / std::to_string(i)});
    std::ofstream(jobs.back().path, std::ios::binary) << text;
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));  // The memo notes no file that is so new.
  std::vector<double> stream;
  std::vector<double> at_once;
  std::vector<double> known;
  for (unsigned long round = 0; round < rounds + 2; ++round) {
    hub::DigestMemo none({});
    stream.push_back(digest(jobs, none, false));
    const auto sums = jobs;
    std::filesystem::remove_all(folder / "home");
    hub::DigestMemo fresh(folder / "home");
    at_once.push_back(digest(jobs, fresh, true));
    // As the next process finds it: read from its file, and every file looked at.
    const auto start = Clock::now();
    hub::DigestMemo read(folder / "home");
    known.push_back(digest(jobs, read, true));
    known.back() = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    for (std::size_t i = 0; i < kFiles; ++i) {
      if (jobs[i].sum != sums[i].sum) stop("the digests differ");
    }
    if (round < 2) stream.clear(), at_once.clear(), known.clear();  // Warmed.
  }
  std::filesystem::remove_all(folder);
  const double bytes = static_cast<double>(kFiles * kMegabytes);
  std::printf("%zu files of %zu MB, %u cores, medians of %lu\n", kFiles, kMegabytes,
              std::thread::hardware_concurrency(), rounds);
  std::printf("| one stream | %.1f ms | %.0f MB/s |\n", median(stream),
              bytes / median(stream) * 1000);
  std::printf("| all at once | %.1f ms | %.2fx |\n", median(at_once),
              median(stream) / median(at_once));
  std::printf("| all known | %.3f ms | %.0fx |\n", median(known), median(stream) / median(known));
  return 0;
}
