# SPDX-License-Identifier: Apache-2.0
# Run at the installation of a wheel: libcurl and what it needs besides the C library go into the wheel, for systems
# that have none. Variables: LIBRARY, DESTINATION, PATCHELF.
get_filename_component(library ${LIBRARY} REALPATH)
file(GET_RUNTIME_DEPENDENCIES
  RESOLVED_DEPENDENCIES_VAR needed
  UNRESOLVED_DEPENDENCIES_VAR unknown
  LIBRARIES ${library}
  POST_EXCLUDE_REGEXES "/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util))\\.so[^/]*$")
if(unknown)
  message(WARNING "libcurl is not put into the wheel: ${unknown} cannot be found")
  return()
endif()
file(MAKE_DIRECTORY ${DESTINATION})
foreach(path IN LISTS library needed)
  file(REAL_PATH ${path} real)
  # Under the name that the loader asks for.
  execute_process(COMMAND ${PATCHELF} --print-soname ${real} OUTPUT_VARIABLE name OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  file(COPY_FILE ${real} ${DESTINATION}/${name})
  file(CHMOD ${DESTINATION}/${name} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
    WORLD_EXECUTE)
  execute_process(COMMAND ${PATCHELF} --set-rpath "\$ORIGIN" ${DESTINATION}/${name} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
