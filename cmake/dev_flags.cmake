# SPDX-License-Identifier: Apache-2.0
# Our warnings and sanitizers, as a target that only our own targets link: a user's build sees none
# of it.
add_library(ferrule_dev_flags INTERFACE)
target_compile_options(ferrule_dev_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Wcast-qual -Wimplicit-fallthrough
  # GCC 12 warns of its own std::string operator+ at -O3 (GCC bug 105651), and with a precompiled header in more ways.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-array-bounds>
  $<$<BOOL:${FERRULE_WERROR}>:-Werror>)
if(FERRULE_SANITIZE)
  target_compile_options(ferrule_dev_flags INTERFACE
    -fsanitize=${FERRULE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ferrule_dev_flags INTERFACE -fsanitize=${FERRULE_SANITIZE})
endif()
if(FERRULE_LIBFUZZER)
  # Coverage of the libraries, which is what guides the fuzzer.
  target_compile_options(ferrule_dev_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(ferrule_dev_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
