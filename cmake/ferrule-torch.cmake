# SPDX-License-Identifier: Apache-2.0
# ferrule::torch: the header-only LibTorch face. Read by the build (FERRULE_BUILD_TORCH) and, installed, by
# find_package(ferrule COMPONENTS torch). Set Torch_DIR or CMAKE_PREFIX_PATH to the folder of LibTorch.
# The build sets FERRULE_TORCH_GLOBAL, so that a project that adds ferrule with add_subdirectory sees the targets.
set(FERRULE_TORCH_TRIED 2.13)
get_property(_ferrule_before DIRECTORY PROPERTY IMPORTED_TARGETS)
find_package(Torch QUIET)
set(ferrule_torch_FOUND FALSE)
if(NOT Torch_FOUND)
  set(ferrule_NOT_FOUND_MESSAGE "component torch needs LibTorch: set Torch_DIR to the folder of its TorchConfig.cmake")
elseif("${TORCH_CXX_FLAGS} ${TORCH_COMPILE_OPTIONS}" MATCHES "_GLIBCXX_USE_CXX11_ABI=0"
    AND NOT CMAKE_CXX_FLAGS MATCHES "_GLIBCXX_USE_CXX11_ABI=0")
  # Its std::string is another type than ours: every function that takes one would be missing when linking.
  set(ferrule_NOT_FOUND_MESSAGE
    "LibTorch in ${Torch_DIR} is built for the C++ ABI before C++11 (_GLIBCXX_USE_CXX11_ABI=0), and ferrule is not: \
use the build of LibTorch that is called cxx11-abi")
else()
  set(ferrule_torch_FOUND TRUE)
  if(NOT "${Torch_VERSION}" MATCHES "^${FERRULE_TORCH_TRIED}(\\.|$)" AND NOT FERRULE_TORCH_ANY_VERSION)
    if(NOT Torch_VERSION)
      set(Torch_VERSION "of unknown version")
    endif()
    message(WARNING "ferrule::torch is tested with LibTorch ${FERRULE_TORCH_TRIED}; LibTorch ${Torch_VERSION} "
      "(${Torch_DIR}) has not been tried. Set FERRULE_TORCH_ANY_VERSION=ON to silence this warning.")
  endif()
  if(FERRULE_TORCH_GLOBAL)
    get_property(_ferrule_torch_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
    if(_ferrule_before)
      list(REMOVE_ITEM _ferrule_torch_targets ${_ferrule_before})
    endif()
    foreach(_ferrule_torch_target IN LISTS _ferrule_torch_targets)
      set_property(TARGET ${_ferrule_torch_target} PROPERTY IMPORTED_GLOBAL TRUE)
    endforeach()
    unset(_ferrule_torch_targets)
  endif()
  if(NOT TARGET ferrule::torch)
    if(FERRULE_TORCH_GLOBAL)
      add_library(ferrule::torch INTERFACE IMPORTED GLOBAL)
    else()
      add_library(ferrule::torch INTERFACE IMPORTED)
    endif()
    target_link_libraries(ferrule::torch INTERFACE ferrule::ferrule ${TORCH_LIBRARIES})
    separate_arguments(_ferrule_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
    target_compile_options(ferrule::torch INTERFACE ${_ferrule_torch_flags})
    unset(_ferrule_torch_flags)
  endif()
endif()
unset(_ferrule_before)
