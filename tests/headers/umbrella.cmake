# SPDX-License-Identifier: Apache-2.0
# ferrule.hpp includes every public header of the core; ferrule::hub is a target of its own.
file(GLOB headers RELATIVE ${ROOT}/include ${ROOT}/include/ferrule/*.hpp)
file(READ ${ROOT}/include/ferrule/ferrule.hpp umbrella)
foreach(header IN LISTS headers)
  if(header STREQUAL "ferrule/ferrule.hpp" OR header STREQUAL "ferrule/export.hpp" OR
     header STREQUAL "ferrule/hub.hpp")
    continue()
  endif()
  string(FIND "${umbrella}" "#include \"${header}\"" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "include/ferrule/ferrule.hpp does not include ${header}")
  endif()
endforeach()
