# SPDX-License-Identifier: Apache-2.0
# Without the libraries that it needs, configuring lists all of them, with the packages that have them.
#   SOURCE, WORK, GENERATOR, CXX
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
          -DFERRULE_BUILD_TESTS=OFF -DCMAKE_DISABLE_FIND_PACKAGE_yaml-cpp=ON -DCMAKE_DISABLE_FIND_PACKAGE_CURL=ON
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "configured without yaml-cpp and libcurl")
endif()
foreach(line "yaml-cpp 0.7: install libyaml-cpp-dev \\(Debian, Ubuntu\\)" "libcurl 7.81, for the Hub [^\n]*: install libcurl4-openssl-dev")
  if(NOT output MATCHES "${line}")
    message(FATAL_ERROR "expected a line ${line}, found:\n${output}")
  endif()
endforeach()
if(output MATCHES "PCRE2 10.36")
  message(FATAL_ERROR "PCRE2 is there, and is listed as missing:\n${output}")
endif()

# Without pkg-config, which finds some of them, they are looked for all the same: only it is missing.
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}-pkg-config -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
          -DFERRULE_BUILD_TESTS=OFF -DPKG_CONFIG_EXECUTABLE=/bin/false
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "pkg-config: install pkg-config \\(Debian, Ubuntu\\)" OR output MATCHES "PCRE2|libdeflate")
  message(FATAL_ERROR "expected that only pkg-config is missing, found:\n${output}")
endif()
