// SPDX-License-Identifier: Apache-2.0
#include "ferrule/inspect.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "io/syscalls.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

const fs::path kData = FERRULE_TEST_DATA;

std::string line(const Finding& finding) {
  return std::string(severity_name(finding.severity)) + "|" + finding.rule + "|" + finding.path +
         "|" + finding.key + "|" + finding.module + "|" + finding.message + "|" + finding.advice;
}

std::string told(const AdapterSummary& summary) {
  std::string text = summary.directory.string() + " " + summary.peft_type + " " +
                     summary.task_type.value_or("-") + " " + summary.base_model.value_or("-") +
                     " " + std::to_string(summary.rank.value_or(-1)) + " " +
                     std::to_string(summary.alpha.value_or(-1)) + " " + summary.weights_file + " " +
                     std::to_string(summary.file_bytes);
  const auto& totals = summary.totals;
  for (const auto number : {totals.tensors, totals.parameters, totals.bytes}) {
    text += " " + std::to_string(number);
  }
  for (const auto& [dtype, count] : totals.dtypes) {
    text.append(" ").append(dtype_name(dtype)) += std::to_string(count);
  }
  for (const auto& finding : summary.findings) text += "\n" + line(finding);
  if (summary.system_error) text += "\n" + summary.system_error->to_string();
  return text;
}

void expect_the_same_as_one_by_one(const FolderSummary& folder) {
  ASSERT_FALSE(folder.adapters.empty());
  for (const auto& summary : folder.adapters) {
    EXPECT_EQ(told(summary), told(inspect_adapter(summary.directory)));
  }
}

/// A folder with an adapter of each kind that PEFT wrote, whole and in several ways broken.
class Fleet {
 public:
  Fleet() {
    for (const auto& one : fs::directory_iterator(kData / "golden/cases")) {
      const auto adapter = one.path() / "expected";
      if (!fs::exists(adapter / "adapter_config.json")) continue;
      fs::copy(adapter, dir_ / one.path().filename().string(), fs::copy_options::recursive);
    }
    const auto good = kData / "golden/cases/lora/expected";
    for (const auto* name : {"twin", "config", "cut", "rank", "no_config", "no_weights", "text"}) {
      fs::copy(good, dir_ / name, fs::copy_options::recursive);
    }
    fs::remove(dir_ / "no_config/adapter_config.json");
    fs::remove(dir_ / "no_weights/adapter_model.safetensors");
    test::write_file(dir_ / "config/adapter_config.json", "{");
    test::write_file(dir_ / "text/adapter_model.safetensors", "not a safetensors file");
    const auto weights = test::read_file(good / "adapter_model.safetensors");
    test::write_file(dir_ / "cut/adapter_model.safetensors", weights.substr(0, weights.size() - 8));
    auto config = test::read_file(good / "adapter_config.json");
    config.replace(config.find("\"r\": "), 6, "\"r\": 1");
    test::write_file(dir_ / "rank/adapter_config.json", config);
  }

  const fs::path& path() const { return dir_.path(); }
  fs::path operator/(std::string_view name) const { return dir_ / name; }
  fs::path memo() const { return memo_ / "memo"; }

 private:
  test::TempDir dir_;
  test::TempDir memo_;
};

/// Files that look as if they had last changed an hour ago, or will in an hour; and how many
/// configs were opened.
class Watched {
 public:
  explicit Watched(time_t hour = -3600) : saved_(io::sys()) {
    shift() = hour;
    real() = saved_;
    opened() = 0;
    io::sys().openat = [](int dir, const char* path, int flags, mode_t mode) {
      if (std::string_view(path).ends_with("adapter_config.json")) ++opened();
      return real().openat(dir, path, flags, mode);
    };
    io::sys().fstat = [](int fd, struct stat* out) {
      const int result = real().fstat(fd, out);
      out->st_ctim.tv_sec += shift();
      return result;
    };
    io::sys().fstatat = [](int dir, const char* path, struct stat* out, int flags) {
      const int result = real().fstatat(dir, path, out, flags);
      out->st_ctim.tv_sec += shift();
      return result;
    };
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() { io::sys() = saved_; }

  /// Configs opened since the last question.
  int configs() { return opened().exchange(0); }

 private:
  static io::Syscalls& real() {
    static io::Syscalls calls;
    return calls;
  }
  static time_t& shift() {
    static time_t seconds = 0;
    return seconds;
  }
  static std::atomic<int>& opened() {
    static std::atomic<int> count;
    return count;
  }
  io::Syscalls saved_;
};

class InspectFolder : public testing::TestWithParam<unsigned> {};

TEST_P(InspectFolder, SaysOfEachAdapterWhatItsOwnInspectionSays) {
  const Fleet fleet;
  const auto folder = inspect_folder(fleet.path(), {.threads = GetParam()});
  ASSERT_TRUE(folder) << folder.error().to_string();
  expect_the_same_as_one_by_one(*folder);
  EXPECT_GE(folder->bad(), 6U);
  EXPECT_TRUE(std::is_sorted(folder->adapters.begin(), folder->adapters.end(),
                             [](const AdapterSummary& a, const AdapterSummary& b) {
                               return a.directory.native() < b.directory.native();
                             }));
}

INSTANTIATE_TEST_SUITE_P(Threads, InspectFolder, testing::Values(1U, 2U, 8U));

TEST(InspectFolder, MalformedFilesAreReportedAsOneByOne) {
  const test::TempDir dir;
  const auto good = kData / "golden/cases/lora/expected";
  for (const auto& file : fs::directory_iterator(kData / "malformed")) {
    const auto extension = file.path().extension();
    const auto place = dir / file.path().filename().string();
    if (extension != ".json" && extension != ".safetensors") continue;
    fs::copy(good, place, fs::copy_options::recursive);
    const auto* name = extension == ".json" ? "adapter_config.json" : "adapter_model.safetensors";
    fs::copy_file(file.path(), place / name, fs::copy_options::overwrite_existing);
  }
  const auto folder = inspect_folder(dir.path(), {.threads = 2});
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_GT(folder->adapters.size(), 60U);
  expect_the_same_as_one_by_one(*folder);
}

/// Adapters whose configs differ in one field.
void write_with_bases(const fs::path& folder) {
  const auto good = kData / "golden/cases/lora/expected";
  const auto config = test::read_file(good / "adapter_config.json");
  const std::string key = "\"base_model_name_or_path\":";
  const auto start = config.find(key) + key.size();
  const auto end = config.find(",\n", start);
  int number = 0;
  for (const auto* base :
       {R"("a/b")", R"("c/d")", R"("c/d ")", R"("")", "null", R"("\u0061")", R"("x\"y")", R"("\\")",
        "\"\xc3\xbc\"", "\"\xff\"", "3", R"("r")", R"("q_proj")", R"(["a/b"])", R"("a/b", "r": 5)",
        R"("a/b", "base_model_name_or_path": "c/d")",
        R"("a/b", "x": {"base_model_name_or_path": "c"})",
        R"(null, "x": {"base_model_name_or_path": "a/b"})",
        R"(null, "x": {"base_model_name_or_path": "c/d"})"}) {
    const auto text = config.substr(0, start) + " " + base + config.substr(end);
    for (const auto* copy : {"a", "b"}) {
      const auto place = folder / (std::to_string(number) + copy);
      fs::copy(good, place, fs::copy_options::recursive);
      test::write_file(place / "adapter_config.json", text);
    }
    ++number;
  }
}

TEST(InspectFolder, ConfigsThatDifferInTheBaseModel) {
  const test::TempDir dir;
  write_with_bases(dir.path());
  for (const unsigned threads : {1U, 2U}) {
    const auto folder = inspect_folder(dir.path(), {.threads = threads});
    ASSERT_TRUE(folder) << folder.error().to_string();
    EXPECT_EQ(folder->adapters.size(), 38U);
    expect_the_same_as_one_by_one(*folder);
  }
}

TEST(InspectFolder, AnInterruptedSaveIsFinishedFirst) {
  const Fleet fleet;
  fs::create_directory(fleet / "lora/.ferrule-stage");
  const auto folder = inspect_folder(fleet.path(), {.threads = 2});
  ASSERT_TRUE(folder);
  expect_the_same_as_one_by_one(*folder);
}

std::string told(const FolderSummary& folder) {
  std::string text = std::to_string(folder.directories);
  for (const auto& adapter : folder.adapters) text += "\n" + told(adapter);
  return text;
}

std::string listed(const Fleet& fleet, bool memo = true) {
  FolderOptions options{.threads = 2, .open = {}, .progress = {}, .memo = {}};
  if (memo) options.memo = fleet.memo();
  const auto folder = inspect_folder(fleet.path(), options);
  return folder ? told(*folder) : folder.error().to_string();
}

TEST(FolderMemo, ReadsOnlyWhatHasChanged) {
  const Fleet fleet;
  Watched watched;
  const auto first = listed(fleet, false);
  const int all = watched.configs();
  EXPECT_EQ(listed(fleet), first);
  EXPECT_EQ(watched.configs(), all);
  EXPECT_EQ(listed(fleet), first);
  const int unreadable = watched.configs();
  EXPECT_LT(unreadable, all / 3) << "those that cannot be opened, or have others below them";
  // A new adapter, one less, another config, and a file more: four are read.
  fs::copy(fleet / "lora", fleet / "new", fs::copy_options::recursive);
  fs::remove_all(fleet / "twin");
  auto config = test::read_file(fleet / "ia3/adapter_config.json");
  test::write_file(fleet / "ia3/adapter_config.json", config + "\n");
  test::write_file(fleet / "loha/notes.txt", "more");
  const auto changed = listed(fleet, false);
  watched.configs();
  EXPECT_NE(changed, first);
  EXPECT_EQ(listed(fleet), changed);
  EXPECT_EQ(watched.configs(), unreadable + 3);
  EXPECT_EQ(listed(fleet), changed);
  EXPECT_EQ(watched.configs(), unreadable);
}

/// Same name, same size, same time of modification.
void rewrite(const fs::path& file, const std::string& content) {
  struct stat before {};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  ASSERT_EQ(static_cast<off_t>(content.size()), before.st_size);
  const int fd = ::open(file.c_str(), O_WRONLY);
  ASSERT_EQ(::write(fd, content.data(), content.size()), before.st_size);
  const struct timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::futimens(fd, times), 0);
  ::close(fd);
}

TEST(FolderMemo, KeepsTheBaseModelOfEach) {
  const test::TempDir dir;
  const test::TempDir memo;
  write_with_bases(dir.path());
  Watched watched;
  for (int i = 0; i < 3; ++i) {
    const auto folder = inspect_folder(
        dir.path(), {.threads = 2, .open = {}, .progress = {}, .memo = memo / "memo"});
    ASSERT_TRUE(folder) << folder.error().to_string();
    watched.configs();
    expect_the_same_as_one_by_one(*folder);
  }
}

TEST(FolderMemo, IsWrittenAgainOnlyIfMoreThanAFewHaveChanged) {
  const test::TempDir dir;
  const test::TempDir memo;
  const auto good = kData / "golden/cases/lora/expected";
  const auto add = [&](int number) {
    fs::copy(good, dir / std::to_string(number), fs::copy_options::recursive);
  };
  for (int i = 0; i < 256; ++i) add(i);
  Watched watched;
  const auto list = [&] {
    watched.configs();
    const auto folder = inspect_folder(
        dir.path(), {.threads = 2, .open = {}, .progress = {}, .memo = memo / "memo"});
    EXPECT_TRUE(folder);
    EXPECT_EQ(folder->adapters.size(),
              static_cast<std::size_t>(std::distance(fs::directory_iterator(dir.path()), {})));
    return watched.configs();
  };
  EXPECT_EQ(list(), 256);
  EXPECT_EQ(list(), 0);
  add(256);
  add(257);
  EXPECT_EQ(list(), 2);
  EXPECT_EQ(list(), 2) << "two in 256 are read each time";
  add(258);
  EXPECT_EQ(list(), 3);
  EXPECT_EQ(list(), 0) << "three are worth a new memo";
}

TEST(FolderMemo, SeesARewriteOfTheSameSizeWithItsTimeSetBack) {
  const Fleet fleet;
  const Watched watched;
  const auto first = listed(fleet);
  EXPECT_EQ(listed(fleet), first);
  const auto file = fleet / "lora/adapter_config.json";
  auto config = test::read_file(file);
  const auto at = config.find("\"r\": ") + 5;
  ASSERT_NE(config[at], '7');
  config[at] = '7';
  rewrite(file, config);
  const auto changed = listed(fleet, false);
  EXPECT_NE(changed, first);
  EXPECT_EQ(listed(fleet), changed);
}

TEST(FolderMemo, DoesNotTrustTimesOfTheSameTick) {
  const Fleet fleet;
  Watched watched(3600);
  const auto first = listed(fleet);
  const int all = watched.configs();
  EXPECT_EQ(listed(fleet), first);
  EXPECT_EQ(watched.configs(), all) << "every file was written just now";
}

TEST(FolderMemo, ADamagedOneIsMadeAgain) {
  const Fleet fleet;
  Watched watched;
  const auto first = listed(fleet);
  const int all = watched.configs();
  const auto good = test::read_file(fleet.memo());
  for (const auto& bad : {std::string(), std::string("no memo"), good.substr(0, good.size() / 2),
                          good + "x", std::string(good.size(), '\0')}) {
    test::write_file(fleet.memo(), bad);
    EXPECT_EQ(listed(fleet), first);
    EXPECT_EQ(watched.configs(), all);
    EXPECT_EQ(listed(fleet), first);
    EXPECT_LT(watched.configs(), all / 3) << "it is whole again";
  }
}

TEST(FolderMemo, OtherLimitsHaveTheirOwnSummaries) {
  const Fleet fleet;
  const Watched watched;
  EXPECT_NE(listed(fleet), "");
  OpenOptions strict;
  strict.limits.tensors = 1;
  const auto plain = inspect_folder(fleet.path(), {.open = strict});
  const auto with = inspect_folder(
      fleet.path(), {.threads = 1, .open = strict, .progress = {}, .memo = fleet.memo()});
  ASSERT_TRUE(plain && with);
  EXPECT_EQ(told(*with), told(*plain));
}

TEST(FolderMemo, ThatCannotBeWrittenIsAnError) {
  const Fleet fleet;
  const auto folder = inspect_folder(
      fleet.path(), {.threads = 1, .open = {}, .progress = {}, .memo = fleet / "missing/memo"});
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ferrule
