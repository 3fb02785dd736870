# SPDX-License-Identifier: Apache-2.0
# `cpack` in the build folder: ferrule_VERSION_ARCH.deb with the command, libferrule-dev_VERSION_ARCH.deb with what
# programs are built against. Configure with -DCMAKE_INSTALL_PREFIX=/usr.
set(CPACK_PACKAGE_NAME ferrule)
set(CPACK_PACKAGE_VENDOR Ferrule)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Save, open and check PEFT adapters, without torch or Python")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL runtime dev)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The Ferrule authors <ferrule@localhost>")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ferrule)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
# libcurl is loaded when the network is first needed: nothing links it.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS "libcurl4, ca-certificates")

set(CPACK_COMPONENT_DEV_DESCRIPTION "Headers, library and CMake package of Ferrule")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libferrule-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "pkg-config, libpcre2-dev, libdeflate-dev, libssl-dev, libyaml-cpp-dev")
if(BUILD_SHARED_LIBS OR FERRULE_BUILD_C)
  # Its links to shared libraries point into the other package.
  string(APPEND CPACK_DEBIAN_DEV_PACKAGE_DEPENDS ", ferrule (= ${PROJECT_VERSION}-1)")
endif()
include(CPack)
