# SPDX-License-Identifier: Apache-2.0
# The rooms of src/, each an OBJECT library named ferrule_room_NAME. A test that links some rooms gets
# them and the rooms they use, and nothing else: an arrow that runs back up does not link.

option(FERRULE_PRECOMPILE "Precompile the headers that most files include" ON)
option(FERRULE_UNITY "Compile the files of a library eight at a time: less than half the work, for builds that are not edited" OFF)
set(FERRULE_PRECOMPILED_HEADERS
  <algorithm> <array> <bit> <charconv> <cstddef> <cstdint> <cstring> <filesystem> <functional> <limits> <map> <memory>
  <mutex> <optional> <set> <span> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <variant> <vector>
  <ferrule/json.hpp> <ferrule/result.hpp> <ferrule/tensor_source.hpp>)

# ferrule_settings(TARGET): the language and visibility of everything that goes into a library.
function(ferrule_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
  # -fPIC for programs as well, not CMake's -fPIE: a precompiled header serves one of them only.
  target_compile_options(${target} PRIVATE -fPIC)
  if(FERRULE_MINIMAL)
    target_compile_definitions(${target} PRIVATE FERRULE_MINIMAL)
    target_compile_options(${target} PRIVATE -Os -ffunction-sections -fdata-sections)
  endif()
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:ferrule_dev_flags>)
endfunction()

# ferrule_unite(TARGET): its files are compiled in groups if FERRULE_UNITY says so.
function(ferrule_unite target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${FERRULE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  if(FERRULE_UNITY)
    # GCC takes every file of a group for a header, whose types must not have private members.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# ferrule_precompile(TARGET): uses the rooms' precompiled header. The target must be compiled as they are.
function(ferrule_precompile target)
  if(FERRULE_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ferrule_room_base)
  endif()
endfunction()

# ferrule_room(NAME [SEPARATE] SOURCES files... [MORE_SOURCES files...] [USES rooms...] [LIBRARIES targets...]
#   [MORE_LIBRARIES targets...])
# What MORE_ lists is left out of a minimal library (FERRULE_MINIMAL).
# Private names must differ within a room, as FERRULE_UNITY compiles several of its files as one. SEPARATE: they repeat on
# purpose (every dialect has a Reader), and each file is compiled alone.
function(ferrule_room name)
  cmake_parse_arguments(PARSE_ARGV 1 ROOM "SEPARATE" "" "SOURCES;MORE_SOURCES;USES;LIBRARIES;MORE_LIBRARIES")
  if(NOT FERRULE_MINIMAL)
    list(APPEND ROOM_SOURCES ${ROOM_MORE_SOURCES})
    list(APPEND ROOM_LIBRARIES ${ROOM_MORE_LIBRARIES})
  endif()
  set(room ferrule_room_${name})
  add_library(${room} OBJECT ${ROOM_SOURCES})
  ferrule_settings(${room})
  if(NOT ROOM_SEPARATE)
    ferrule_unite(${room})
  endif()
  if(FERRULE_PRECOMPILE AND name STREQUAL "base")
    target_precompile_headers(${room} PRIVATE ${FERRULE_PRECOMPILED_HEADERS})
  else()
    ferrule_precompile(${room})
  endif()
  target_include_directories(${room} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${room} PRIVATE ${ROOM_LIBRARIES})
  set(all ${name})
  foreach(used IN LISTS ROOM_USES)
    get_property(below GLOBAL PROPERTY FERRULE_ROOMS_OF_${used})
    list(APPEND all ${below})
  endforeach()
  list(REMOVE_DUPLICATES all)
  set_property(GLOBAL PROPERTY FERRULE_ROOMS_OF_${name} ${all})
  set_property(GLOBAL PROPERTY FERRULE_LIBRARIES_OF_${name} ${ROOM_LIBRARIES})
endfunction()

# ferrule_link_rooms(TARGET ROOMS...): their objects, those of the rooms they use, and the libraries of all.
function(ferrule_link_rooms target)
  set(all)
  foreach(name IN LISTS ARGN)
    get_property(rooms GLOBAL PROPERTY FERRULE_ROOMS_OF_${name})
    list(APPEND all ${rooms})
  endforeach()
  list(REMOVE_DUPLICATES all)
  foreach(name IN LISTS all)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:ferrule_room_${name}>)
    get_property(libraries GLOBAL PROPERTY FERRULE_LIBRARIES_OF_${name})
    target_link_libraries(${target} PRIVATE ${libraries})
  endforeach()
endfunction()
