# SPDX-License-Identifier: Apache-2.0
# ferrule.hpp includes every public header.
file(GLOB headers RELATIVE ${ROOT}/include ${ROOT}/include/ferrule/*.hpp)
file(READ ${ROOT}/include/ferrule/ferrule.hpp umbrella)
foreach(header IN LISTS headers)
  if(header STREQUAL "ferrule/ferrule.hpp" OR header STREQUAL "ferrule/export.hpp")
    continue()
  endif()
  string(FIND "${umbrella}" "#include \"${header}\"" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "include/ferrule/ferrule.hpp does not include ${header}")
  endif()
endforeach()
