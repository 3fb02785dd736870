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

/// A call about to be made, as far as tests ask.
struct Call {
  std::string name;
  std::string path;    ///< Its first path, where it has one.
  std::string to;      ///< Its second.
  unsigned flags = 0;  ///< Of renameat2.
};

/// Stands between the library and the system as long as it lives: decides before each call whether
/// it is made, fails, or is the last thing that the process does. One at a time, one thread.
class Faults {
 public:
  /// What happens instead of a call: 0 makes it, a positive number is the errno it fails with.
  using Plan = std::function<int(const Call& call)>;

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
    install<&io::Syscalls::ftruncate>("ftruncate");
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
      const int fault = self.plan_(describe(Name<Member>::get(), arguments...));
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

  static Call describe(std::string name, int, const char* path, int, const char* to,
                       unsigned flags) {
    return {std::move(name), path, to, flags};
  }
  template <typename... Others>
  static Call describe(std::string name, int, const char* path, Others...) {
    return {std::move(name), path, "", 0};
  }
  template <typename... Others>
  static Call describe(std::string name, Others...) {
    return {std::move(name), "", "", 0};
  }

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
