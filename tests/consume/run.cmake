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
      -DFERRULE_SOURCE_DIR=${SOURCE} -DFERRULE_UNITY=ON)
  run(${CMAKE_COMMAND} --build ${WORK}/stranger)
else()
  if(KIND STREQUAL "installed_shared")
    set(BUILT ${WORK}/ferrule)
    run(${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILT} ${settings} -DBUILD_SHARED_LIBS=ON
        -DFERRULE_UNITY=ON -DFERRULE_BUILD_TESTS=OFF -DFERRULE_BUILD_FUZZ=OFF)
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

# expect_stranger(PROGRAM): it runs, and prints what it should.
function(expect_stranger program)
  run(${program})
  if(NOT output MATCHES "^LORA, ferrule [0-9]+\\.[0-9]+\\.[0-9]+\n$")
    message(FATAL_ERROR "${program} printed: ${output}")
  endif()
endfunction()

expect_stranger(${WORK}/stranger/stranger)
if(KIND STREQUAL "add_subdirectory")
  return()
endif()

# A program in C, which needs the shared library of the C interface and nothing else.
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consume/find_package_c -B ${WORK}/stranger_c -G ${GENERATOR}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/stranger_c)
expect_stranger(${WORK}/stranger_c/stranger)

# A component that does not exist is refused by name.
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/tests/consume/find_package -B ${WORK}/nonsense ${settings}
          -DCMAKE_PREFIX_PATH=${WORK}/prefix -DFERRULE_COMPONENTS=nonsense
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "no component nonsense")
  message(FATAL_ERROR "find_package(ferrule COMPONENTS nonsense) gave ${status}: ${output}")
endif()

# The installed tree can be moved: ferrule.pc finds itself.
file(REMOVE_RECURSE ${WORK}/moved)
file(RENAME ${WORK}/prefix ${WORK}/moved)
file(GLOB_RECURSE description ${WORK}/moved/ferrule.pc)
cmake_path(GET description PARENT_PATH folder)
set(ENV{PKG_CONFIG_PATH} ${folder})
set(ENV{LD_LIBRARY_PATH} ${folder}/..)
if(KIND STREQUAL "installed_static")
  set(linking --static)
endif()
run(pkg-config --cflags --libs ${linking} ferrule)
separate_arguments(flags UNIX_COMMAND "${output}")
run(${CXX} -std=c++20 ${SOURCE}/tests/consume/find_package/main.cpp -o ${WORK}/by_pkg_config ${flags})
expect_stranger(${WORK}/by_pkg_config)
