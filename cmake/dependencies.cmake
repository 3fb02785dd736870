# SPDX-License-Identifier: Apache-2.0
# Libraries of the distribution, never downloaded here. All are private to ferrule.
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8>=10.36)
# CRC-32 at the speed of memory, and inflating for the scan of foreign zip archives.
pkg_check_modules(LIBDEFLATE REQUIRED IMPORTED_TARGET libdeflate>=1.8)
# Decompositions of small matrices; headers only. In src/factor alone.
find_package(Eigen3 3.3 QUIET NO_MODULE)
if(NOT TARGET Eigen3::Eigen)
  message(FATAL_ERROR "ferrule needs Eigen 3.3 or later, a library of headers: install libeigen3-dev (Debian, Ubuntu) or eigen3")
endif()
# SHA-256, with the instructions that the processor has for it.
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
# yaml-cpp 0.7 names its target yaml-cpp, 0.8 yaml-cpp::yaml-cpp.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp INTERFACE IMPORTED)
  target_link_libraries(yaml-cpp::yaml-cpp INTERFACE yaml-cpp)
endif()
