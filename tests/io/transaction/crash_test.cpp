// SPDX-License-Identifier: Apache-2.0
// A save that dies, or fails, at each of its system calls in turn.
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/wait.h>

#include <memory>

#include "io/faults.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryReader;

/// Calls that an interruption by a signal must not end.
const std::set<std::string> kInterruptible = {"openat", "getdents", "pread",     "writev",
                                              "fsync",  "pwrite",   "fallocate", "flock"};

class Save : public testing::TestWithParam<Scene> {
 protected:
  // Thousands of saves, none of which need reach a disk: in memory where the system has that.
  Save() : mask_(::umask(kMask)), calls_(io::sys()) {
    io::sys().fsync = [](int) { return 0; };
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  }
  ~Save() override {
    io::sys() = calls_;
    if (temporary_.empty()) {
      ::unsetenv("TMPDIR");
    } else {
      ::setenv("TMPDIR", temporary_.c_str(), 1);
    }
    ::umask(mask_);
  }

  /// A fresh copy of the scene.
  std::unique_ptr<TempDir> fresh() {
    auto dir = std::make_unique<TempDir>();
    set_up(GetParam(), dir->path());
    return dir;
  }

  /// `fault` at call number `when`; the scene's obstacle at all of them.
  static Faults::Plan plan(int when, Faults::Plan fault) {
    return [when, fault, count = 0](const Call& call) mutable {
      if (++count == when) {
        if (const int number = fault(call); number != 0) return number;
      }
      return obstacle(call);
    };
  }

  static int obstacle(const Call& call) {
    const bool exchange = call.name == "renameat2" && (call.flags & RENAME_EXCHANGE) != 0;
    switch (GetParam().obstacle) {
      case Obstacle::kNone:
        return 0;
      case Obstacle::kExchangeBusy:
        return exchange ? EBUSY : 0;
      case Obstacle::kOtherMount:
        // Whatever leaves the folder beside the directory for the directory.
        return exchange || (call.name == "renameat2" && call.to.rfind("new", 0) == 0) ? EXDEV : 0;
      case Obstacle::kClosedParent:
        return call.name == "mkdirat" && call.path.rfind(".ferrule-", 0) == 0 &&
                       call.path != ".ferrule-stage"
                   ? EACCES
                   : 0;
    }
    return 0;
  }

  Result<void> save_with(const std::filesystem::path& top, Faults::Plan plan,
                         Durability durability = Durability::kFull) {
    const auto directory = top / GetParam().below;
    const auto standing = std::filesystem::current_path();
    if (GetParam().standing) std::filesystem::current_path(directory);
    Faults faults(std::move(plan));
    auto result = save(GetParam().standing ? "." : directory, durability);
    if (GetParam().standing) std::filesystem::current_path(standing);
    return result;
  }

  static Faults::Plan none() {
    return [](const Call&) { return 0; };
  }

  Tree before() { return tree_of(fresh()->path()); }
  Tree after() {
    auto dir = fresh();
    const auto saved = save_with(dir->path(), plan(0, none()));
    EXPECT_TRUE(saved) << saved.error().to_string();
    return tree_of(dir->path());
  }

  /// As a later Ferrule command does.
  void open_once(const std::filesystem::path& top) {
    if (!std::filesystem::exists(top / GetParam().below)) return;
    auto reader = DirectoryReader::open(top / GetParam().below);
    EXPECT_TRUE(reader) << reader.error().to_string();
  }

  void expect_next_save_is_clean(const std::filesystem::path& top, const Tree& after) {
    const auto saved = save_with(top, plan(0, none()));
    EXPECT_TRUE(saved) << saved.error().to_string();
    EXPECT_EQ(tree_of(top), after);
  }

 private:
  mode_t mask_;
  io::Syscalls calls_;
  std::string temporary_ = ::getenv("TMPDIR") == nullptr ? "" : ::getenv("TMPDIR");
};

ino_t inode_of(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

/// What plain readers see: without what is hidden and ours.
Tree visible(Tree tree) {
  for (auto at = tree.begin(); at != tree.end();) {
    at = at->first.find(".ferrule-") != std::string::npos ? tree.erase(at) : std::next(at);
  }
  return tree;
}

TEST_P(Save, ChangesNothingButItsOwnFiles) {
  Tree expected = before();
  const std::string out = GetParam().below;
  if (!GetParam().exists) {
    expected.clear();
    for (std::size_t end = out.find('/');; end = out.find('/', end + 1)) {
      expected[out.substr(0, end)] = "488 folder";
      if (end == out.npos) break;
    }
    expected[out + "/second"] = "488 folder";
  }
  expected[out + "/weights"] = GetParam().exists ? "388 file new weights" : "416 file new weights";
  expected[out + "/config"] = expected[out + "/config"].substr(0, 4) == "420 "
                                  ? "420 file new config"
                                  : "416 file new config";
  expected[out + "/second/config"] = "416 file new second";
  expected[out + "/third"] = "488 folder";
  expected[out + "/third/config"] = "416 file new third";
  expected.erase(out + "/weights.bin");
  EXPECT_EQ(after(), expected);
}

// TX-1, TX-8: what a dead saver left is hidden, and goes with the next save.
TEST_P(Save, KilledAtAnyCallLeavesOldOrNew) {
  const Tree old = before();
  const Tree whole = after();
  bool finished = false;
  int died = 0;
  for (int when = 1; !finished; ++when) {
    auto dir = fresh();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto saved = save_with(dir->path(), plan(when, [](const Call&) -> int { ::_exit(9); }));
      ::_exit(saved ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_NE(WEXITSTATUS(status), 1);
    finished = WEXITSTATUS(status) == 0;
    died += finished ? 0 : 1;
    if (GetParam().obstacle != Obstacle::kNone) open_once(dir->path());
    const Tree now = visible(tree_of(dir->path()));
    EXPECT_TRUE(now == old || now == whole) << "killed at call " << when << ":\n"
                                            << testing::PrintToString(now);
    expect_next_save_is_clean(dir->path(), whole);
    if (HasFailure()) break;
  }
  EXPECT_GT(died, 20);
}

// TX-2
TEST_P(Save, AnErrorAtAnyCallLeavesOldOrNewAndSaysSo) {
  const Tree old = before();
  const Tree whole = after();
  for (const int number : {EIO, ENOSPC, EACCES, EXDEV}) {
    bool reached = true;
    for (int when = 1; reached; ++when) {
      auto dir = fresh();
      reached = false;
      std::string failed;
      const auto saved = save_with(dir->path(), plan(when, [&](const Call& call) {
                                     reached = true;
                                     failed = call.name;
                                     return number;
                                   }));
      const std::string where = failed + ", call " + std::to_string(when) + ", errno " +
                                std::to_string(number) + ": " +
                                (saved ? "success" : saved.error().to_string());
      Tree now = tree_of(dir->path());
      if (saved) {
        EXPECT_EQ(visible(now), whole) << where;
      } else if (visible(now) == whole && now != old) {
        // Published, then something failed: the message must not say otherwise.
        EXPECT_EQ(saved.error().message.rfind("it is saved, but", 0), 0U) << where;
      } else {
        if (saved.error().rule == "TX-6") {
          open_once(dir->path());
          now = tree_of(dir->path());
          EXPECT_EQ(now, whole) << where;
        } else if (failed == "unlinkat") {  // What cannot be removed stays, hidden.
          EXPECT_EQ(visible(now), old) << where;
        } else {
          EXPECT_EQ(now, old) << where;
        }
      }
      expect_next_save_is_clean(dir->path(), whole);
      if (HasFailure()) return;
    }
  }
}

TEST_P(Save, AnInterruptedCallIsRepeated) {
  const Tree whole = after();
  bool reached = true;
  for (int when = 1; reached; ++when) {
    auto dir = fresh();
    reached = false;
    std::string failed;
    const auto saved = save_with(dir->path(), plan(when, [&](const Call& call) {
                                   reached = true;
                                   failed = call.name;
                                   return kInterruptible.count(call.name) != 0 ? EINTR : 0;
                                 }));
    ASSERT_TRUE(saved) << failed << ": " << saved.error().to_string();
    ASSERT_EQ(tree_of(dir->path()), whole) << failed;
  }
}

// TX-3
TEST_P(Save, AFlushOrACloseThatFailsIsNeverSuccess) {
  for (const std::string call_name : {"fsync", "close"}) {
    bool reached = true;
    for (int nth = 1; reached; ++nth) {
      auto dir = fresh();
      const auto before = inode_of(dir->path() / GetParam().below);
      reached = false;
      bool written = false;
      int count = 0;
      const auto saved = save_with(dir->path(), [&](const Call& call) {
        if (const int number = obstacle(call); number != 0) return number;
        // Of the closes only those that follow a flush: of files that were written.
        const bool counts = call.name == call_name && (call_name == "fsync" || written);
        written = call.name == "fsync";
        if (!counts || ++count != nth) return 0;
        reached = true;
        return int{EIO};
      });
      // What was to be swapped back is not, where it could not be flushed: the other one was.
      if (reached && saved && GetParam().standing && call_name == "fsync") {
        EXPECT_NE(inode_of(dir->path() / GetParam().below), before);
        continue;
      }
      // After the four files come closes of directories, which say nothing about data.
      if (reached && (call_name == "fsync" || nth <= 4)) {
        EXPECT_FALSE(saved) << call_name << " " << nth;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, Save, testing::ValuesIn(scenes()),
                         [](const auto& scene) { return scene.param.name; });

}  // namespace
}  // namespace ferrule::test
