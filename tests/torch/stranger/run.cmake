# SPDX-License-Identifier: Apache-2.0
# Installs what BUILD has built, builds the stranger's project on it, and runs what came of it.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(JOIN " " command ${ARGN})
    message(FATAL_ERROR "${command}\n${output}")
  endif()
  message("${output}")
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The models are small: threads would only wait for each other.
set(ENV{OMP_NUM_THREADS} 1)
set(example ${SOURCE}/examples/libtorch_finetune)
file(REMOVE_RECURSE ${WORK}/prefix ${WORK}/run)
file(MAKE_DIRECTORY ${WORK}/run)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component dev)
run(${PYTHON} ${CMAKE_CURRENT_LIST_DIR}/snippets.py ${SOURCE}/docs/libtorch.md ${WORK}/snippets.cpp)
# The build itself is kept from run to run: these are expensive files.
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_BUILD_TYPE=Debug
  "-DCMAKE_CXX_FLAGS_DEBUG=-O0" -DCMAKE_PREFIX_PATH=${WORK}/prefix -DTorch_DIR=${TORCH_DIR}
  -DEXAMPLE=${example} -DSNIPPETS=${WORK}/snippets.cpp)
run(${CMAKE_COMMAND} --build ${WORK}/build -j 1)
run(${CMAKE_COMMAND} -E chdir ${WORK}/run ${WORK}/build/snippets)
run(${WORK}/build/finetune/finetune train ${example}/text.txt ${WORK}/run)

# The loss of each of the two trainings comes down.
string(REGEX MATCHALL "loss [0-9.]+" losses "${output}")
string(REPLACE "loss " "" losses "${losses}")
list(LENGTH losses count)
if(NOT count EQUAL 16)
  message(FATAL_ERROR "the program printed ${count} losses, not 16")
endif()
foreach(range "0;5" "6;15")
  list(GET range 0 first)
  list(GET range 1 last)
  list(GET losses ${first} before)
  list(GET losses ${last} after)
  if(NOT after LESS before)
    message(FATAL_ERROR "the loss went from ${before} to ${after}")
  endif()
endforeach()
run(${PYTHON} ${example}/with_peft.py ${WORK}/build/finetune/finetune ${WORK}/run)
