#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our verdicts on thousands of good, broken and mutated safetensors files with those of the
installed safetensors package. Every disagreement must be a row of the differences in docs/rules/ST.md.

    safetensors_differential.py ST_VERDICT RULES.md MALFORMED_FOLDER
"""
import collections
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys

import safetensors

SEED = 20260727
MUTATIONS_PER_FILE = 1500


def build(header, data):
    if isinstance(header, dict):
        header = json.dumps(header, separators=(",", ":"))
    if isinstance(header, str):
        header = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def good_files():
    data = bytes(range(64))
    yield build({"__metadata__": {"format": "pt"}, "a.weight": entry("F32", [2, 2], 0, 16),
                 "b": entry("BF16", [3], 16, 22), "c": entry("U8", [], 22, 23)}, data[:23])
    yield build(json.dumps({"x": entry("I64", [1, 2], 0, 16), "y": entry("F16", [0], 16, 16),
                            "\u00e9\n\"\\": entry("F64", [1], 16, 24)}, indent=1) + "   ", data[:24])
    yield build('{"\\u00e9\\ud83d\\ude00":{"shape":[4,2],"data_offsets":[0,4],"dtype":"F4"},'
                '"z":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[4,7]},'
                '"q":{"dtype":"C64","shape":[1],"data_offsets":[7,15]},'
                '"__metadata__":{"k":"v","k2":""}}', data[:15])
    yield build({"late": entry("U8", [4], 4, 8), "early": entry("I8", [2, 2], 0, 4),
                 "none": entry("BOOL", [7, 0], 8, 8)}, data[:8])
    yield build("{}", b"")


def written_by_hand():
    one = '"shape":[1],"data_offsets":[0,4]'
    headers = [
        ' {}', '{} ', '{}\n', '{}\x00', '{"__metadata__":null}', '{"__metadata__":{}}',
        '{"__metadata__":{"a":null}}', '{"__metadata__":{"a":1}}', '{"__metadata__":[]}',
        '{"__metadata__":{"a":"1","a":"2"}}', '{"__metadata__":{},"__metadata__":{}}',
        '{"a":{"dtype":"F32",%s}}' % one, '{"a":{"dtype":{"F32":null},%s}}' % one,
        '{"a":["F32",[1],[0,4]]}', '{"a":{"dtype":"F32",%s,"more":1}}' % one,
        '{"a":{"dtype":"F32","dtype":"F32",%s}}' % one, '{"a":{"dtype":"f32",%s}}' % one,
        '{"a":{"dtype":"F32",%s},"a":{"dtype":"F32",%s}}' % (one, one),
        '{"a":{"dtype":"F32",%s},"\\u0061":{"dtype":"F32",%s}}' % (one, one),
        '{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}',
        '{"a":{"dtype":"F32","shape":[+1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":{"0":0,"1":4}}}',
        '{"a":{"dtype":"U8","shape":[1152921504606846976,1152921504606846976,0],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"U8","shape":[0,1152921504606846976,1152921504606846976],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"U64","shape":[1152921504606846976,0],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"U64","shape":[0,18446744073709551615],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"U64","shape":[0,18446744073709551616],"data_offsets":[0,0]}}',
        '{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}}',
        '{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}',
        '{"\\ud800":{"dtype":"F32",%s}}' % one, '{"\\udc00":{"dtype":"F32",%s}}' % one,
        '{"\\u0000":{"dtype":"F32",%s}}' % one, '{"a\tb":{"dtype":"F32",%s}}' % one,
        '{"":{"dtype":"F32",%s}}' % one, '\ufeff{}', '[]', 'null', '{"a":null}', '{"a":{}}',
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}',
        '{"a":' + '[' * 200 + ']' * 200 + '}',
    ]
    for header in headers:
        for size in (0, 4, 8):
            yield build(header, bytes(size))
    yield build(b'{"\xff":{}}', b"")
    yield build(b'{"\xed\xa0\x80":{"dtype":"F32",' + one.encode() + b'}}', bytes(4))
    yield b""
    yield bytes(7)
    yield bytes(8)
    yield struct.pack("<Q", 100_000_001) + b"{}"
    yield struct.pack("<Q", 3) + b"{}"


TOKENS = [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b' ', b'\n', b'0', b'1', b'-', b'.', b'e1',
          b'null', b'true', b'"F32"', b'"U8"', b'"dtype"', b'"shape"', b'"data_offsets"',
          b'"__metadata__"', b'\\u0061', b'\\ud800', b'\xff', b'\xc3\xa9', b'\x00', b'{}', b'[]', b'""',
          b'18446744073709551615', b'18446744073709551616', b'00']


def mutations(good, rng):
    size = struct.unpack("<Q", good[:8])[0]
    for at in range(8 + size):
        for flip in (0x01, 0x80, 0xFF):
            yield good[:at] + bytes([good[at] ^ flip]) + good[at + 1:]
    for cut in range(0, len(good), 3):
        yield good[:cut]
    for _ in range(MUTATIONS_PER_FILE):
        header, data = bytearray(good[8:8 + size]), bytearray(good[8 + size:])
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            kind = rng.randrange(6)
            a = rng.randrange(len(header) + 1)
            b = min(len(header), a + rng.randrange(1, 30))
            if kind == 0:
                header[a:a] = rng.choice(TOKENS)
            elif kind == 1:
                del header[a:b]
            elif kind == 2:
                header[a:b] = rng.choice(TOKENS)
            elif kind == 3:
                header[a:a] = header[rng.randrange(len(header) + 1):][:rng.randrange(1, 80)]
            elif kind == 4:
                digits = [m.span() for m in re.finditer(rb"\d+", bytes(header))]
                if digits:
                    start, end = rng.choice(digits)
                    header[start:end] = str(rng.choice((0, 1, 2, 3, 4, 7, 8, 16, 23, 2**63))).encode()
            elif rng.random() < 0.5:
                data.append(0)
            elif data:
                data.pop()
        yield build(bytes(header), bytes(data))


def free_form(rng):
    """Good files in every spelling that JSON allows: order, white space, escapes."""
    def space():
        return rng.choice(("", "", " ", "\n", "\t\r "))

    def text(value):
        return '"' + "".join("\\u%04x" % ord(c) if rng.random() < 0.2 else c for c in value) + '"'

    def joined(items, opening, closing):
        rng.shuffle(items) if opening == "{" else None
        return opening + space() + (space() + "," + space()).join(items) + space() + closing

    entries, offset = [], 0
    for i in range(rng.randrange(6)):
        dtype, bits = rng.choice((("F32", 32), ("BF16", 16), ("U8", 8), ("F4", 4), ("F6_E3M2", 6)))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        if bits < 8:
            shape.append(4)
        size = bits
        for extent in shape:
            size *= extent
        end = offset + size // 8
        members = [f'{text("dtype")}:{space()}{text(dtype)}',
                   f'{text("shape")}{space()}:' + joined([str(n) for n in shape], "[", "]"),
                   f'{text("data_offsets")}:' + joined([str(offset), str(end)], "[", "]")]
        name = rng.choice(("layer.", "\u00e9", "m/", "")) + str(i)
        entries.append(text(name) + space() + ":" + space() + joined(members, "{", "}"))
        offset = end
    if rng.random() < 0.5:
        entries.append('"__metadata__":' + joined([text(k) + ":" + text("v") for k in "abc"], "{", "}"))
    return build(joined(entries, "{", "}") + space(), bytes(rng.randrange(256) for _ in range(offset)))


def corpus(folder):
    for path in sorted(glob.glob(os.path.join(folder, "ST-*.safetensors"))):
        with open(path, "rb") as file:
            yield file.read()
    yield from written_by_hand()
    rng = random.Random(SEED)
    for _ in range(1000):
        yield free_form(rng)
    for good in good_files():
        yield good
        yield from mutations(good, rng)


def reference_verdict(data):
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        return "refused " + str(error)
    lines = sorted(
        "{}:{}:{}:{}".format(name.encode().hex(), value["dtype"],
                             "".join(f"{extent}," for extent in value["shape"]),
                             bytes(value["data"]).hex())
        for name, value in tensors)
    return " ".join(["ok"] + lines)


def listed_differences(path):
    """Rows `| ST-n | stricter or looser | ...` of the table of differences."""
    with open(path, encoding="utf-8") as file:
        rows = re.findall(r"^\| (ST-\d+) \| (stricter|looser) \|", file.read(), re.M)
    return set(rows)


def main():
    executable, rules, folder = sys.argv[1:]
    files = list(dict.fromkeys(corpus(folder)))
    piped = b"".join(struct.pack("<Q", len(data)) + data for data in files)
    answers = subprocess.run([executable], input=piped, stdout=subprocess.PIPE, check=True)
    ours = answers.stdout.decode().splitlines()
    if len(ours) != len(files):
        sys.exit(f"{len(files)} files, {len(ours)} verdicts")
    allowed = listed_differences(rules)
    seen, counts, wrong = collections.Counter(), collections.Counter(), []
    for data, mine in zip(files, ours):
        theirs = reference_verdict(data)
        if mine.startswith("ok") and theirs.startswith("ok"):
            counts["both accept"] += 1
            if mine != theirs:
                wrong.append((mine, theirs, data))
        elif mine.startswith("ok"):
            wrong.append((mine, theirs, data))
        elif theirs.startswith("ok"):
            rule = mine.split()[1]
            seen[rule] += 1
            if (rule, "stricter") not in allowed:
                wrong.append((mine, theirs, data))
        else:
            counts["both refuse"] += 1
    print(f"{len(files)} files, safetensors {safetensors.__version__}: {dict(counts)}, "
          f"only we refuse: {dict(seen)}")
    for mine, theirs, data in wrong[:20]:
        print("ours  ", mine[:200], "\ntheirs", theirs[:200], "\nfile  ", data[:300])
    for rule, kind in sorted(allowed):
        if not seen[rule]:
            wrong.append(None)
            print(f"{rule} is listed as {kind}, but no file shows it")
    if not counts["both accept"] > 100 or not counts["both refuse"] > 1000:
        sys.exit("the corpus is one-sided")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
