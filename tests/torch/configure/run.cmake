# SPDX-License-Identifier: Apache-2.0
# What configuring says of LibTorch: a project that adds ferrule with add_subdirectory has ferrule::torch, another C++
# ABI is refused by name, and a version that has not been tried is reported.
#   SOURCE, WORK, GENERATOR, CXX, TORCH_DIR
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/project ${WORK}/alone)

# The project links ferrule::torch in its own folder and in one beside ferrule's.
file(WRITE ${WORK}/project/CMakeLists.txt "cmake_minimum_required(VERSION 3.22)
project(stranger LANGUAGES CXX)
set(FERRULE_BUILD_TORCH ON)
add_subdirectory(${SOURCE} ferrule)
file(WRITE \${CMAKE_BINARY_DIR}/main.cpp \"int main() { return 0; }\")
add_executable(stranger \${CMAKE_BINARY_DIR}/main.cpp)
target_link_libraries(stranger PRIVATE ferrule::torch)
add_subdirectory(sub)
")
file(WRITE ${WORK}/project/sub/CMakeLists.txt "add_executable(sub \${CMAKE_BINARY_DIR}/main.cpp)
target_link_libraries(sub PRIVATE ferrule::torch)
")
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${WORK}/project -B ${WORK}/project/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
          -DTorch_DIR=${TORCH_DIR}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "a project with add_subdirectory does not find ferrule::torch:\n${output}")
endif()
if(output MATCHES "has not been tried")
  message(FATAL_ERROR "the LibTorch of the tests is reported as not tried:\n${output}")
endif()

# LibTorch is replaced by configs that say what others say.
file(WRITE ${WORK}/alone/CMakeLists.txt "cmake_minimum_required(VERSION 3.22)
project(alone LANGUAGES NONE)
add_library(ferrule::ferrule INTERFACE IMPORTED)
include(${SOURCE}/cmake/ferrule-torch.cmake)
message(\"found \${ferrule_torch_FOUND} because \${ferrule_NOT_FOUND_MESSAGE}\")
if(TARGET ferrule::torch)
  message(\"a target\")
endif()
")
function(expect version flags)
  set(config ${WORK}/torch-${version}/TorchConfig.cmake)
  file(WRITE ${config} "set(TORCH_LIBRARIES \"\")\nset(TORCH_CXX_FLAGS \"${flags}\")\n")
  file(WRITE ${WORK}/torch-${version}/TorchConfigVersion.cmake
    "set(PACKAGE_VERSION ${version})\nset(PACKAGE_VERSION_COMPATIBLE TRUE)\n")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${WORK}/alone -B ${WORK}/alone/${version} -DTorch_DIR=${WORK}/torch-${version}
    OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  foreach(words IN LISTS ARGN)
    if(NOT output MATCHES "${words}")
      message(FATAL_ERROR "LibTorch ${version}: expected \"${words}\", found:\n${output}")
    endif()
  endforeach()
  set(output "${output}" PARENT_SCOPE)
endfunction()
expect(2.13.0 "-D_GLIBCXX_USE_CXX11_ABI=0" "found FALSE because LibTorch in [^ ]*torch-2.13.0 is built for the C\\+\\+ ABI"
  "cxx11-abi")
if(output MATCHES "a target")
  message(FATAL_ERROR "a LibTorch of another ABI gives a target:\n${output}")
endif()
expect(2.13.1 "-D_GLIBCXX_USE_CXX11_ABI=1" "found TRUE" "a target")
if(output MATCHES "has not been tried")
  message(FATAL_ERROR "2.13.1 is reported as not tried:\n${output}")
endif()
expect(1.13.0 "-D_GLIBCXX_USE_CXX11_ABI=1" "LibTorch 1.13.0 \\([^ ]*\\) has not been tried" "found TRUE" "a target")
