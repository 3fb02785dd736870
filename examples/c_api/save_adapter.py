# SPDX-License-Identifier: Apache-2.0
"""Saves an adapter out of a state dict, and reads it back, through the C interface and ctypes alone.

    FERRULE_C=build/release/capi/libferrule_c.so python save_adapter.py STATE.safetensors adapter_config.json OUT
"""

import ctypes
import json
import os
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_double, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

LIBRARY = os.environ.get("FERRULE_C", "libferrule_c.so.1")
DTYPES = {"BOOL": 1, "U8": 5, "I8": 6, "F8_E5M2": 7, "F8_E4M3": 8, "I16": 12, "F16": 14, "BF16": 15, "I32": 16, "F32": 18,
          "F64": 20, "I64": 21}


class Handle(Structure):
    _fields_ = [("id", c_uint64)]


class Text(Structure):
    # Texts do not end with a NUL: an address and a size.
    _fields_ = [("data", c_void_p), ("size", c_size_t)]

    def __str__(self):
        return ctypes.string_at(self.data, self.size).decode() if self.size else ""


class Versioned(Structure):
    """A struct that says which release it is of."""

    def __init__(self):
        super().__init__()
        self.struct_size = ctypes.sizeof(self)


class Error(Versioned):
    _fields_ = [("struct_size", c_uint32), ("status", c_uint32), ("system_errno", c_int32), ("reserved", c_uint32),
                ("rule", c_char * 16), ("path", c_char * 1024), ("message", c_char * 2048)]


class Module(Versioned):
    _fields_ = [("struct_size", c_uint32), ("has_strength", c_uint32), ("has_rank", c_uint32), ("has_alpha", c_uint32),
                ("strength", c_double), ("rank", c_double), ("alpha", c_double), ("path", Text), ("rule", Text),
                ("tensor_count", c_uint64)]


class AdapterInfo(Versioned):
    _fields_ = [("struct_size", c_uint32), ("has_errors", c_uint32), ("tensor_count", c_uint64),
                ("module_count", c_uint64), ("finding_count", c_uint64), ("file_bytes", c_uint64), ("peft_type", Text),
                ("directory", Text), ("weights_file", Text)]


class Ferrule:
    """The functions of the library. A failure is an exception."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        handle, options = Handle, c_void_p
        signatures = {
            "adapter_open": (c_char_p, options, POINTER(Handle)),
            "adapter_describe": (handle, POINTER(AdapterInfo)),
            "adapter_module": (handle, c_uint64, POINTER(Module)),
            "writer_open": (POINTER(Handle),),
            "writer_add_tensor": (handle, c_char_p, c_uint32, POINTER(c_uint64), c_uint64, c_void_p, c_uint64),
            "writer_add_adapter": (handle, c_char_p, c_char_p, c_size_t),
            "writer_save": (handle, c_char_p, options, POINTER(Handle)),
            "report_json": (handle, POINTER(Text)),
        }
        for name, arguments in signatures.items():
            getattr(self.library, "ferrule_" + name).argtypes = [*arguments, POINTER(Error)]
        for name in ("adapter", "writer", "report"):
            close = getattr(self.library, f"ferrule_{name}_close")
            close.argtypes = [handle]
            setattr(self, name + "_close", close)

    def __getattr__(self, name):
        function = getattr(self.library, "ferrule_" + name)

        def call(*arguments):
            error = Error()
            if function(*arguments, byref(error)) != 0:
                raise RuntimeError(f"{error.path.decode()}: [{error.rule.decode()}] {error.message.decode()}")

        return call


def tensors_of(state):
    """(name, dtype, shape, offset, size) of the bytes of a safetensors file."""
    start = 8 + int.from_bytes(state[:8], "little")
    for name, tensor in json.loads(bytes(state[8:start])).items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            yield name, tensor["dtype"], tensor["shape"], start + begin, end - begin


def main():
    state_path, config_path, out = sys.argv[1:4]
    ferrule = Ferrule(LIBRARY)
    with open(state_path, "rb") as file:
        state = bytearray(file.read())  # Stays where it is while the writer points to it.
    memory = (c_char * len(state)).from_buffer(state)
    with open(config_path, "rb") as file:
        config = file.read()

    writer, report = Handle(), Handle()
    ferrule.writer_open(byref(writer))
    for name, dtype, shape, offset, size in tensors_of(state):
        extents = (c_uint64 * len(shape))(*shape)
        ferrule.writer_add_tensor(writer, name.encode(), DTYPES[dtype], extents, len(shape),
                                  ctypes.addressof(memory) + offset, size)
    ferrule.writer_add_adapter(writer, b"default", config, len(config))
    ferrule.writer_save(writer, out.encode(), None, byref(report))
    document = Text()
    ferrule.report_json(report, byref(document))
    print("saved", json.loads(str(document))["adapters"][0]["tensor_count"], "tensors")
    ferrule.report_close(report)
    ferrule.writer_close(writer)

    adapter, info = Handle(), AdapterInfo()
    ferrule.adapter_open(out.encode(), None, byref(adapter))
    ferrule.adapter_describe(adapter, byref(info))
    for index in range(info.module_count):
        module = Module()
        ferrule.adapter_module(adapter, index, byref(module))
        print(module.path, f"{module.strength:.9g}", module.tensor_count)
    ferrule.adapter_close(adapter)


if __name__ == "__main__":
    main()
