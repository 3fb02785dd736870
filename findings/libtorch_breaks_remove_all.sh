#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# torch 2.11.0 (the CUDA 13 wheel of PyPI), g++ 12 and 13, seen 2026-11-29, on an H200 and without a GPU.
#
# A C++ program that is linked with LibTorch as CMake's TORCH_LIBRARIES says loses std::filesystem::remove_all: the call ends in SIGSEGV, in a
# program that does nothing else. libtorch.so, which is otherwise empty, exports 64 functions of std::filesystem that its compiler linked in
# statically; it stands before libstdc++.so in the order of loading, so the program gets them, and that remove_all calls a function that is not
# there (address 0). exists, create_directories and directory_iterator work. With libstdc++ linked before LibTorch, remove_all works. LibTorch 2.13 without
# CUDA has no such functions in libtorch.so.
#
# libtorch_cuda.so is replaced by an empty library here, so that nothing of it has to be installed; it plays no part.
#
# Seen: remove_all behind libtorch.so: exit code 139; behind libstdc++.so: 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 -d wheels \
  torch==2.11.0 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
for wheel in wheels/*.whl; do
  env/bin/python - "$wheel" <<'PYTHON'
import pathlib
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        library = pathlib.PurePath(name).name
        if library in ("libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"):
            pathlib.Path("lib").mkdir(exist_ok=True)
            pathlib.Path("lib", library).write_bytes(wheel.read(name))
PYTHON
done
echo | g++ -shared -x c++ - -o lib/libtorch_cuda.so -Wl,-soname,libtorch_cuda.so
cat >program.cpp <<'PROGRAM'
#include <filesystem>
int main() {
  std::filesystem::create_directories("made/a/b");
  std::filesystem::remove_all("made");
  return std::filesystem::exists("made") ? 1 : 0;
}
PROGRAM
torch=(-Llib -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 "-Wl,-rpath,$work/lib" -Wl,--unresolved-symbols=ignore-in-shared-libs)
g++ -std=c++17 program.cpp -o behind_torch "${torch[@]}"
g++ -std=c++17 program.cpp -o behind_stdcxx -Wl,--no-as-needed -lstdc++ "${torch[@]}"
status() { local code=0; (ulimit -c 0; exec "$1") >/dev/null 2>&1 || code=$?; echo "$code"; }
broken=$(status ./behind_torch 2>/dev/null)
rm -rf made
whole=$(status ./behind_stdcxx)
echo "remove_all behind libtorch.so: exit code $broken; behind libstdc++.so: $whole"
[[ $broken -eq 139 ]] || { echo "remove_all no longer crashes behind libtorch.so" >&2; exit 1; }
[[ $whole -eq 0 ]] || { echo "remove_all does not work behind libstdc++.so" >&2; exit 1; }
