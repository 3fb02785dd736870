# SPDX-License-Identifier: Apache-2.0
# Library, headers, CMake package, pkg-config file, command, manual page and shell completions.
include(CMakePackageConfigHelpers)

set(FERRULE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ferrule)

install(TARGETS ferrule EXPORT ferrule-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
if(FERRULE_MINIMAL)
  # The headers of what a minimal library has.
  foreach(name adapter adapter_config adapter_module base_model check checkpoint content_id dtype durability engine_table error explain
          export file_kind file_names file_range finding json method_roles model_facts read_limits result safetensors_file
          safetensors_writer selection targeting tensor_source tensor_stream tensor_view text text_file version writable_bytes
          write_options)
    install(FILES include/ferrule/${name}.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ferrule COMPONENT dev)
  endforeach()
else()
  install(DIRECTORY include/ferrule torch/include/ferrule DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
    FILES_MATCHING PATTERN "*.hpp")
endif()
install(EXPORT ferrule-targets NAMESPACE ferrule:: DESTINATION ${FERRULE_PACKAGE_DIR} COMPONENT dev)

if(FERRULE_BUILD_HUB)
  set_target_properties(ferrule_hub PROPERTIES INSTALL_RPATH "\$ORIGIN")
  install(TARGETS ferrule_hub EXPORT ferrule-hub-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
  install(EXPORT ferrule-hub-targets NAMESPACE ferrule:: DESTINATION ${FERRULE_PACKAGE_DIR} COMPONENT dev)
endif()

if(FERRULE_BUILD_C)
  install(TARGETS ferrule_c EXPORT ferrule-c-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
  install(FILES capi/include/ferrule/c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ferrule COMPONENT dev)
  install(EXPORT ferrule-c-targets NAMESPACE ferrule:: DESTINATION ${FERRULE_PACKAGE_DIR} COMPONENT dev)
endif()

configure_package_config_file(cmake/ferrule-config.cmake.in
  ${PROJECT_BINARY_DIR}/ferrule-config.cmake INSTALL_DESTINATION ${FERRULE_PACKAGE_DIR})
# Before 1.0 a minor release may break: 0.1 does not stand in for 0.2.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ferrule-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ferrule-config.cmake cmake/ferrule-torch.cmake
  ${PROJECT_BINARY_DIR}/ferrule-config-version.cmake
  DESTINATION ${FERRULE_PACKAGE_DIR} COMPONENT dev)

# A shared library brings its own dependencies; a static one needs them named.
set(FERRULE_PC_REQUIRES_PRIVATE "libpcre2-8 libdeflate libcrypto yaml-cpp")
if(FERRULE_MINIMAL)
  set(FERRULE_PC_REQUIRES_PRIVATE "")
endif()
# From the folder of the file to the prefix, so that an installed tree can be moved.
file(RELATIVE_PATH FERRULE_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" FERRULE_PC_TO_PREFIX "${FERRULE_PC_TO_PREFIX}")
configure_file(cmake/ferrule.pc.in ${PROJECT_BINARY_DIR}/ferrule.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ferrule.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT dev)
if(FERRULE_BUILD_C)
  configure_file(cmake/ferrule_c.pc.in ${PROJECT_BINARY_DIR}/ferrule_c.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/ferrule_c.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endif()

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ferrule RENAME copyright COMPONENT runtime)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libferrule-dev RENAME copyright COMPONENT dev)
install(FILES src/check/engines.json DESTINATION ${CMAKE_INSTALL_DATADIR}/ferrule COMPONENT runtime)

if(FERRULE_BUILD_CLI)
  set_target_properties(ferrule_cli PROPERTIES
    INSTALL_RPATH "$<$<BOOL:${BUILD_SHARED_LIBS}>:\$ORIGIN/../${CMAKE_INSTALL_LIBDIR}>")
  install(TARGETS ferrule_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
  install(FILES man/ferrule.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime)
  install(FILES completions/ferrule.bash RENAME ferrule
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT runtime)
  install(FILES completions/_ferrule
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT runtime)
  install(FILES completions/ferrule.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT runtime)
endif()
