# SPDX-License-Identifier: Apache-2.0
# ferrule::torch: the header-only LibTorch face. Read by the build (FERRULE_BUILD_TORCH) and, installed, by
# find_package(ferrule COMPONENTS torch). Say where LibTorch is with Torch_DIR or CMAKE_PREFIX_PATH.
find_package(Torch QUIET)
if(Torch_FOUND)
  set(ferrule_torch_FOUND TRUE)
  if(NOT TARGET ferrule::torch)
    add_library(ferrule::torch INTERFACE IMPORTED)
    target_link_libraries(ferrule::torch INTERFACE ferrule::ferrule ${TORCH_LIBRARIES})
    separate_arguments(_ferrule_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
    target_compile_options(ferrule::torch INTERFACE ${_ferrule_torch_flags})
    unset(_ferrule_torch_flags)
  endif()
else()
  set(ferrule_torch_FOUND FALSE)
  set(ferrule_NOT_FOUND_MESSAGE "component torch needs LibTorch: set Torch_DIR to the folder of its TorchConfig.cmake")
endif()
