# SPDX-License-Identifier: Apache-2.0
# Builds ferrule as a stranger would and a program on top of it.
#   KIND: installed_static (out of BUILT, the build under test), installed_shared or add_subdirectory
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Without optimisation: it is the wiring that is tested, and the build is the better part of it.
set(settings -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
    -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O0")
file(REMOVE_RECURSE ${WORK}/prefix ${WORK}/stranger)

if(KIND STREQUAL "add_subdirectory")
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consume/add_subdirectory -B ${WORK}/stranger ${settings}
      -DFERRULE_SOURCE_DIR=${SOURCE})
  run(${CMAKE_COMMAND} --build ${WORK}/stranger)
else()
  if(KIND STREQUAL "installed_shared")
    set(BUILT ${WORK}/ferrule)
    run(${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILT} ${settings} -DBUILD_SHARED_LIBS=ON
        -DFERRULE_BUILD_TESTS=OFF -DFERRULE_BUILD_FUZZ=OFF)
    run(${CMAKE_COMMAND} --build ${BUILT})
  endif()
  run(${CMAKE_COMMAND} --install ${BUILT} --prefix ${WORK}/prefix)
  run(${WORK}/prefix/bin/ferrule --version)
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consume/find_package -B ${WORK}/stranger ${settings}
      -DCMAKE_PREFIX_PATH=${WORK}/prefix)
  run(${CMAKE_COMMAND} --build ${WORK}/stranger)
  if(KIND STREQUAL "installed_shared")
    include(${CMAKE_CURRENT_LIST_DIR}/check_symbols.cmake)
    file(GLOB libraries ${WORK}/prefix/lib*/libferrule.so ${WORK}/prefix/lib*/*/libferrule.so)
    check_symbols(${libraries})
  endif()
endif()
run(${WORK}/stranger/stranger)
if(NOT output MATCHES "^LORA, ferrule [0-9]+\\.[0-9]+\\.[0-9]+\n$")
  message(FATAL_ERROR "the stranger's program said: ${output}")
endif()
