// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cerrno>
#include <functional>
#include <set>
#include <string>
#include <type_traits>

#include "io/syscalls.hpp"

namespace ferrule::test {

/// Stands between the library and the system as long as it lives: decides before each call whether
/// it is made, fails, or is the last thing that the process does. One at a time, one thread.
class Faults {
 public:
  /// What happens instead of a call: 0 makes it, a positive number is the errno it fails with.
  using Plan = std::function<int(const std::string& call)>;

  explicit Faults(Plan plan) : saved_(io::sys()) {
    current() = this;
    plan_ = std::move(plan);
    install<&io::Syscalls::openat>("openat");
    install<&io::Syscalls::close>("close");
    install<&io::Syscalls::fstat>("fstat");
    install<&io::Syscalls::fstatat>("fstatat");
    install<&io::Syscalls::statx>("statx");
    install<&io::Syscalls::faccessat>("faccessat");
    install<&io::Syscalls::realpath>("realpath");
    install<&io::Syscalls::readlinkat>("readlinkat");
    install<&io::Syscalls::getdents>("getdents");
    install<&io::Syscalls::pread>("pread");
    install<&io::Syscalls::writev>("writev");
    install<&io::Syscalls::pwrite>("pwrite");
    install<&io::Syscalls::fallocate>("fallocate");
    install<&io::Syscalls::sync_file_range>("sync_file_range");
    install<&io::Syscalls::fsync>("fsync");
    install<&io::Syscalls::syncfs>("syncfs");
    install<&io::Syscalls::fchmod>("fchmod");
    install<&io::Syscalls::fchown>("fchown");
    install<&io::Syscalls::futimens>("futimens");
    install<&io::Syscalls::flistxattr>("flistxattr");
    install<&io::Syscalls::fgetxattr>("fgetxattr");
    install<&io::Syscalls::fsetxattr>("fsetxattr");
    install<&io::Syscalls::fremovexattr>("fremovexattr");
    install<&io::Syscalls::mkdirat>("mkdirat");
    install<&io::Syscalls::linkat>("linkat");
    install<&io::Syscalls::symlinkat>("symlinkat");
    install<&io::Syscalls::unlinkat>("unlinkat");
    install<&io::Syscalls::renameat2>("renameat2");
    install<&io::Syscalls::flock>("flock");
  }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  ~Faults() {
    io::sys() = saved_;
    current() = nullptr;
  }

  /// The table as it was, for plans that make a call of their own.
  const io::Syscalls& real() const { return saved_; }
  /// The arguments of the renameat2 under way.
  unsigned rename_flags = 0;

 private:
  template <auto Member>
  struct Name {
    static std::string& get() {
      static std::string name;
      return name;
    }
  };

  template <auto Member, typename Function>
  struct Hook;
  template <auto Member, typename Return, typename... Arguments>
  struct Hook<Member, Return (*)(Arguments...)> {
    static Return call(Arguments... arguments) {
      Faults& self = *current();
      if constexpr (std::is_same_v<decltype(Member), decltype(&io::Syscalls::renameat2)> &&
                    sizeof...(Arguments) == 5) {
        self.note_flags(arguments...);
      }
      const int fault = self.plan_(Name<Member>::get());
      if (fault == 0) return (self.saved_.*Member)(arguments...);
      if constexpr (std::is_same_v<Return (*)(Arguments...), int (*)(int)>) {
        // A close that fails closes all the same; a descriptor kept open would keep its lock.
        if (Name<Member>::get() == "close") (self.saved_.*Member)(arguments...);
      }
      errno = fault;
      if constexpr (std::is_pointer_v<Return>) {
        return nullptr;
      } else {
        return -1;
      }
    }
  };

  void note_flags(int, const char*, int, const char*, unsigned flags) { rename_flags = flags; }
  template <typename... Others>
  void note_flags(Others...) {}

  template <auto Member>
  void install(const char* name) {
    Name<Member>::get() = name;
    using Function = std::remove_reference_t<decltype(saved_.*Member)>;
    io::sys().*Member = &Hook<Member, std::remove_const_t<Function>>::call;
  }

  static Faults*& current() {
    static Faults* instance = nullptr;
    return instance;
  }

  io::Syscalls saved_;
  Plan plan_;
};

}  // namespace ferrule::test
