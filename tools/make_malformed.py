#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/malformed/ST-*: for each rule of docs/rules/ST.md the smallest files that break it.

    python tools/make_malformed.py [FOLDER]

Needs nothing but Python. The rule that a file must be refused for stands in its name.
"""
import os
import struct
import sys

ENTRY = '"%s":{"dtype":"F32","shape":[%d],"data_offsets":[%d,%d]}'


def entry(name, begin, end):
    return ENTRY % (name, (end - begin) // 4, begin, end)


def one(body):
    return '{"a":' + body + "}"


def shaped(shape, end, dtype="F32"):
    return one('{"dtype":"%s","shape":%s,"data_offsets":[0,%d]}' % (dtype, shape, end))


def file_of(header, data_bytes):
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header)) + header + bytes(data_bytes)


# name: (header, bytes of data), or the whole content.
FILES = {
    "ST-01-empty": b"",
    "ST-01-seven-bytes": bytes(7),
    "ST-02-length-above-limit": struct.pack("<Q", 100_000_001) + b"{}",
    "ST-02-length-of-all-ones": b"\xff" * 8 + b"{}",
    "ST-03-header-past-the-end": struct.pack("<Q", 3) + b"{}",
    "ST-04-no-header": bytes(8),
    "ST-04-array": ("[]", 0),
    "ST-04-space-first": (" {}", 0),
    "ST-04-text-after": ("{}{}", 0),
    "ST-04-unclosed": ("{", 0),
    "ST-04-trailing-comma": ("{" + entry("a", 0, 4) + ",}", 4),
    "ST-04-unknown-escape": ('{"\\q":1}', 0),
    "ST-05-invalid-utf8": (b'{"\xff":1}', 0),
    "ST-05-overlong-utf8": (b'{"\xc0\xaf":1}', 0),
    "ST-05-utf8-surrogate": (b'{"\xed\xa0\x80":1}', 0),
    "ST-05-lone-surrogate": ("{" + entry("\\ud800", 0, 4) + "}", 4),
    "ST-05-control-character": ("{" + entry("a\nb", 0, 4) + "}", 4),
    "ST-06-tensor-twice": ("{" + entry("a", 0, 4) + "," + entry("a", 4, 8) + "}", 8),
    "ST-06-tensor-twice-by-escape": ("{" + entry("a", 0, 4) + "," + entry("\\u0061", 4, 8) + "}", 8),
    "ST-06-member-twice": (one('{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}'), 4),
    "ST-06-metadata-twice": ('{"__metadata__":{},"__metadata__":{}}', 0),
    "ST-06-metadata-key-twice": ('{"__metadata__":{"a":"1","a":"2"}}', 0),
    "ST-07-hole": ("{" + entry("a", 0, 4) + "," + entry("b", 8, 12) + "}", 12),
    "ST-07-overlap": ("{" + entry("a", 0, 8) + "," + entry("b", 4, 12) + "}", 12),
    "ST-07-tail": ("{" + entry("a", 0, 4) + "}", 5),
    "ST-07-truncated": ("{" + entry("a", 0, 8) + "}", 7),
    "ST-07-ends-before-it-starts": (one('{"dtype":"F32","shape":[0],"data_offsets":[4,0]}'), 4),
    "ST-08-negative": (shaped("[-1]", 4), 4),
    "ST-08-fraction": (shaped("[1.0]", 4), 4),
    "ST-08-exponent": (shaped("[1e0]", 4), 4),
    "ST-08-leading-zero": (shaped("[01]", 4), 4),
    "ST-08-two-to-the-64": (shaped("[0,18446744073709551616]", 0), 0),
    "ST-08-string": (shaped('["1"]', 4), 4),
    "ST-09-elements-wrap": (shaped("[4611686018427387904,4]", 0), 0),
    "ST-09-bits-wrap": (shaped("[576460752303423488]", 0), 0),
    "ST-09-huge-huge-zero": (shaped("[1152921504606846976,1152921504606846976,0]", 0), 0),
    "ST-10-too-few-bytes": (shaped("[2]", 4), 4),
    "ST-10-too-many-bytes": (shaped("[2]", 4, "U8"), 4),
    "ST-11-half-a-byte": (shaped("[1]", 1, "F4"), 1),
    "ST-12-array": (one('["F32",[1],[0,4]]'), 4),
    "ST-12-no-shape": (one('{"dtype":"F32","data_offsets":[0,4]}'), 4),
    "ST-12-fourth-member": (one('{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}'), 4),
    "ST-12-three-offsets": (one('{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}'), 4),
    "ST-13-unknown-dtype": (shaped("[1]", 4, "F33"), 4),
    "ST-13-dtype-is-object": (one('{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}'), 4),
    "ST-14-metadata-is-array": ('{"__metadata__":[]}', 0),
    "ST-14-metadata-of-numbers": ('{"__metadata__":{"a":1}}', 0),
    "ST-18-lfs-pointer": b"version https://git-lfs.github.com/spec/v1\n"
                         b"oid sha256:" + b"0" * 64 + b"\nsize 42025768\n",
    "ST-18-html": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
    "ST-18-gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0",
    "ST-18-pickle": b"\x80\x02}q\x00.",
    "ST-18-json": b'{"peft_type": "LORA"}\n',
}

GOOD = file_of("{" + entry("a", 0, 4) + "}", 4)

# Folders with an index, and shards where the rule needs one.
INDEXES = {
    "ST-20-no-map": ('{"weights":{}}', {}),
    "ST-20-not-json": ('{"weight_map":', {}),
    "ST-21-file-is-number": ('{"weight_map":{"a":1}}', {}),
    "ST-22-parent-directory": ('{"weight_map":{"a":"../good.safetensors"}}', {}),
    "ST-22-absolute": ('{"weight_map":{"a":"/etc/passwd"}}', {}),
    "ST-23-missing-shard": ('{"weight_map":{"a":"model-1.safetensors"}}', {}),
    "ST-23-missing-tensor": ('{"weight_map":{"a":"model-1.safetensors","b":"model-1.safetensors"}}',
                             {"model-1.safetensors": GOOD}),
    "ST-24-unlisted-tensor": ('{"weight_map":{"b":"model-1.safetensors"}}',
                              {"model-1.safetensors": file_of(
                                  "{" + entry("a", 0, 4) + "," + entry("b", 4, 8) + "}", 8)}),
}


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "tests", "malformed")
    for name, content in FILES.items():
        write(os.path.join(folder, name + ".safetensors"),
              content if isinstance(content, bytes) else file_of(*content))
    for name, (index, shards) in INDEXES.items():
        write(os.path.join(folder, name, "model.safetensors.index.json"), index.encode())
        for shard, content in shards.items():
            write(os.path.join(folder, name, shard), content)


if __name__ == "__main__":
    main()
