# SPDX-License-Identifier: Apache-2.0
"""nested_checkpoint.py FILE.safetensors KEY: the same tensors as torch.save writes
{"epoch": 3, KEY: {...}}, on standard output. Without torch, of F32 tensors."""
import io
import json
import pickle
import struct
import sys
import zipfile


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return pickle.dumps(value, 2)[2:-1]


def numbers(values):
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(index, shape):
    count, strides = 1, []
    for extent in reversed(shape):
        strides.insert(0, count)
        count *= extent
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(index)) + text("cpu") + number(count) + b"tQ"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(0) + numbers(shape) + numbers(strides) +
            b"\x89ccollections\nOrderedDict\n)RtR")


def main():
    content = open(sys.argv[1], "rb").read()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    header.pop("__metadata__", None)
    entries = b"".join(text(name) + tensor(i, row["shape"]) for i, (name, row) in enumerate(header.items()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl",
                         b"\x80\x02}(" + text("epoch") + number(3) + text(sys.argv[2]) + b"}(" + entries + b"uu.")
        for i, row in enumerate(header.values()):
            begin, stop = row["data_offsets"]
            archive.writestr(f"archive/data/{i}", content[end + begin:end + stop])
        archive.writestr("archive/version", "3\n")
    sys.stdout.buffer.write(out.getvalue())


main()
