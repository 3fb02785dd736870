# SPDX-License-Identifier: Apache-2.0
# Our warnings and sanitizers, as a target that only our own targets link: a user's build sees none
# of it.
add_library(ferrule_dev_flags INTERFACE)
target_compile_options(ferrule_dev_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Wcast-qual -Wimplicit-fallthrough
  $<$<BOOL:${FERRULE_WERROR}>:-Werror>)
if(FERRULE_SANITIZE)
  target_compile_options(ferrule_dev_flags INTERFACE
    -fsanitize=${FERRULE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ferrule_dev_flags INTERFACE -fsanitize=${FERRULE_SANITIZE})
endif()
