# SPDX-License-Identifier: Apache-2.0
"""Writes a tiny torch file for each broken rule, assembled by hand and without torch.

    python tools/make_malformed_torch.py tests

`tests/malformed/RULE-NN-what.bin` breaks that rule and none that is checked before it;
`tests/golden/torch_by_hand/what.bin` breaks none. Nothing here would run anything: what may be named
is tested by tests/container/foreign_globals.py.
"""
import struct
import sys
import zlib
from pathlib import Path

ROOT = "archive"


def u(text):
    data = text.encode() if isinstance(text, str) else text
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def tup(*items):
    return b"(" + b"".join(items) + b"t"


def glob(module, name):
    return f"c{module}\n{name}\n".encode()


FLOAT = glob("torch", "FloatStorage")
REBUILD = glob("torch._utils", "_rebuild_tensor_v2")
EMPTY = glob("collections", "OrderedDict") + b")R"


def storage(key="0", count=4, kind=FLOAT, view=None):
    tail = [] if view is None else [view]
    return tup(u("storage"), kind, u(key), u("cpu"), integer(count), *tail) + b"Q"


def tensor(pid=None, offset=0, size=(4,), stride=(1,), call=REBUILD, flag=b"\x89", hooks=EMPTY, more=()):
    return call + tup(pid or storage(), integer(offset), tup(*map(integer, size)),
                      tup(*map(integer, stride)), flag, hooks, *more) + b"R"


def state(*pairs):
    body = b"".join((u(k) if isinstance(k, str) else k) + v for k, v in pairs)
    return b"\x80\x02" + EMPTY + b"(" + body + b"u."


GOOD = state(("a", tensor()))
DATA = struct.pack("<4f", 1, 2, 3, 4)


def records(pickle=GOOD, **changes):
    found = {"data.pkl": pickle, "byteorder": b"little", "data/0": DATA, "version": b"3\n"}
    found.update({k.replace("__", "/"): v for k, v in changes.items()})
    return [(f"{ROOT}/{k}", v) for k, v in found.items() if v is not None]


def make(entries, local=None, central=None, gap=b"", tail=b"", end=None, zip64=None, descriptor=False,
         crc=None, before=b"", comment=b""):
    """A zip of stored entries. `local`, `central`: index -> dict of header fields to change."""
    out = bytearray(before)
    directory = bytearray()
    for index, (name, data) in enumerate(entries):
        if index:
            out += gap
        raw = name.encode("utf-8", "surrogateescape")
        fields = {"flags": 0x808 if descriptor else 0x800, "method": 0, "size": len(data), "packed": len(data),
                  "name": raw, "extra": b"", "offset": len(out), "disk": 0,
                  "crc": zlib.crc32(data) if crc is None or index not in crc else crc[index]}
        mine = dict(fields, **(local or {}).get(index, {}))
        theirs = dict(fields, **(central or {}).get(index, {}))
        known = (0, 0, 0) if descriptor else (mine["crc"], mine["packed"], mine["size"])
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, mine["flags"], mine["method"], 0, 0, *known,
                           len(mine["name"]), len(mine["extra"])) + mine["name"] + mine["extra"] + data
        if descriptor:
            out += struct.pack("<IIII", 0x08074B50,
                               fields["crc"] ^ (0 if descriptor == "good" else 1), len(data), len(data))
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 0, 0, theirs["flags"], theirs["method"],
                                 0, 0, theirs["crc"], theirs["packed"], theirs["size"], len(theirs["name"]),
                                 len(theirs["extra"]), 0, theirs["disk"], 0, 0, theirs["offset"])
        directory += theirs["name"] + theirs["extra"]
    out += tail
    start = len(out)
    out += directory
    values = {"disk": 0, "count": len(entries), "bytes": len(directory), "offset": start, "comment": len(comment)}
    values.update(end or {})
    if zip64:
        wide = dict(values, **zip64)
        at = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 0, 45, 0, 0, wide["count"], wide["count"],
                           wide["bytes"], wide["offset"])
        out += struct.pack("<IIQI", 0x07064B50, 0, wide.get("at", at), 1)
    out += struct.pack("<IHHHHIIH", 0x06054B50, values["disk"], values["disk"], values["count"],
                       values["count"], values["bytes"], values["offset"], values["comment"])
    return bytes(out + comment)


def zips():
    good = records()
    yield "good-zip", make(good)
    yield "good-zip64", make(good, zip64={"count": len(good)})
    yield "good-descriptors", make(good, descriptor="good")
    whole = make(good)
    yield "TZ-1-cut", whole[:-10]
    yield "TZ-1-trailing", whole + b"\0"
    yield "TZ-1-comment", make(good, comment=b"hello")
    yield "TZ-2-far", make(good, zip64={"at": 0})
    yield "TZ-2-disagrees", make(good, zip64={"count": 3})
    yield "TZ-2-missing", make(good, end={"offset": 0xFFFFFFFF})
    yield "TZ-3-disk", make(good, end={"disk": 1})
    yield "TZ-3-entry", make(good, central={1: {"disk": 2}})
    yield "TZ-4-outside", make(good, end={"offset": 1 << 30})
    yield "TZ-4-count", make(good, end={"count": 3})
    yield "TZ-4-too-many", make(good, end={"count": 60000})
    yield "TZ-5-entries", make(good, end={"count": 0xFFFF, "bytes": 0xFFFFFFFF, "offset": 0xFFFFFFFF},
                               zip64={"count": 1 << 22, "bytes": 1 << 28, "offset": (1 << 64) - (1 << 28)})
    yield "TZ-6-name", make(good, local={2: {"name": b"archive/data/1"}})
    yield "TZ-6-size", make(good, local={2: {"size": 8, "packed": 8}})
    yield "TZ-6-method", make(good, local={2: {"method": 8}})
    yield "TZ-6-flags", make(good, local={2: {"flags": 0}})
    yield "TZ-6-crc", make(good, local={2: {"crc": 1}})
    yield "TZ-6-nowhere", make(good, central={0: {"offset": 7}})
    yield "TZ-6-beyond", make(good, central={3: {"offset": 1 << 31}})
    yield "TZ-6-descriptor", make(good, descriptor="bad")
    yield "TZ-6-extra", make(good, local={2: {"extra": b"\x01\x00\xff\x00"}})
    yield "TZ-6-zip64-missing", make(good, central={2: {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}})
    yield "TZ-6-zip64-short", make(good, central={
        2: {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": struct.pack("<HHQ", 1, 8, 16)}})
    packed = zlib.compress(DATA)[2:-4]
    deflated = [(n, packed if n.endswith("/0") else d) for n, d in good]
    both = {2: {"method": 8, "size": 16, "crc": zlib.crc32(DATA)}}
    yield "TZ-7-deflated", make(deflated, local=both, central=both)
    yield "TZ-7-encrypted", make(good, local={2: {"flags": 0x801}}, central={2: {"flags": 0x801}})
    yield "TZ-7-flags", make(good, local={2: {"flags": 0x2800}}, central={2: {"flags": 0x2800}})
    yield "TZ-7-sizes", make(good, local={2: {"size": 99}}, central={2: {"size": 99}})
    yield "TZ-8-gap", make(good, gap=b"hidden")
    yield "TZ-8-prefix", make(good, before=b"PK\x03\x04 polyglot")
    yield "TZ-8-tail", make(good, tail=b"hidden")
    inner = make([("archive/version", b"3\n")])[:47]
    outer = records(data__0=inner, version=b"3\n")
    place = make(outer).index(inner, make(outer).index(b"data/0"))
    yield "TZ-8-overlap", make(outer, central={3: {"offset": place}})
    yield "TZ-9-duplicate", make(good + [(f"{ROOT}/data/0", DATA)])
    yield "TZ-9-case", make(good + [(f"{ROOT}/DATA.PKL", GOOD)])
    yield "TZ-9-backslash", make(good + [(f"{ROOT}\\x", b"")])
    yield "TZ-9-parent", make(good + [(f"{ROOT}/../x", b"")])
    yield "TZ-9-absolute", make(good + [("/x", b"")])
    yield "TZ-9-control", make(good + [(f"{ROOT}/a\0b", b"")])
    yield "TZ-9-utf8", make(good + [(f"{ROOT}/\udcff", b"")])
    yield "TZ-9-second-name", make(good, central={2: {"extra": struct.pack("<HH", 0x7075, 9) + b"\1" * 9}})
    yield "TZ-10-two-roots", make(good + [("other/x", b"")])
    yield "TZ-10-no-root", make([("data.pkl", GOOD)])
    yield "TZ-10-empty", make([])
    yield "TZ-11-crc", make(good, crc={2: 1})
    yield "TZ-11-pickle", make(good, crc={0: 1})
    yield "TZ-12-no-pickle", make(records(pickle=None))
    yield "TZ-13-no-version", make(records(version=None))
    yield "TZ-13-version", make(records(version=b"99\n"))
    yield "TZ-13-long", make(records(version=b"3" * 100))
    yield "TZ-14-big", make(records(byteorder=b"big"))
    yield "TZ-14-unknown", make(records(byteorder=b"middle"))
    yield "TZ-15-constants", make(records() + [(f"{ROOT}/constants.pkl", b"\x80\x02).")])
    yield "TZ-15-code", make(records() + [(f"{ROOT}/code/__torch__.py", b"pass")])
    yield "TZ-16-missing", make(records(data__0=None))
    yield "TZ-16-size", make(records(data__0=DATA[:8]))


def pickles():
    yield "good-pickle", GOOD
    yield "good-two-views", state(("a", tensor()), ("b", tensor(offset=2, size=(2,))))
    yield "good-python2", b"\x80\x02" + glob("collections", "OrderedDict") + b"(](](U\x01a" + tensor() + b"eetR."
    yield "good-text", (b"ccollections\nOrderedDict\n(tR(Va\n" + REBUILD + b"((Vstorage\n" + FLOAT +
                        b"V0\nVcpu\nI4\ntQI0\n(I4\nt(I1\ntI00\nNtRu.")
    yield "PK-1-no-stop", GOOD[:-1]
    yield "PK-1-trailing", GOOD + b"N."
    yield "PK-2-unknown", b"\x80\x02\xff."
    yield "PK-2-protocol", b"\x80\x06N."
    yield "PK-2-inst", b"(icollections\nOrderedDict\n."
    yield "PK-2-obj", b"(" + glob("collections", "OrderedDict") + b"o."
    yield "PK-2-newobj-ex", glob("collections", "OrderedDict") + b")}\x92."
    yield "PK-2-ext", b"\x80\x02\x82\x01."
    yield "PK-2-buffer", b"\x80\x05\x97."
    yield "PK-3-global", b"\x80\x02" + glob("nowhere", "nothing") + b")R."
    yield "PK-3-prefix", b"\x80\x02" + glob("torch", "FloatStorage.dtype") + b")R."
    yield "PK-3-stack-global", b"\x80\x04\x8c\x07nowhere\x8c\x07nothing\x93)R."
    yield "PK-3-not-strings", b"\x80\x04K\x01K\x02\x93."
    yield "PK-4-string", b"\x80\x02X\xff\xff\xff\x7fabc."
    yield "PK-4-huge-string", b"\x80\x04\x8d" + b"\xff" * 8 + b"abc."
    yield "PK-4-line", b"cabc"
    yield "PK-4-number", b"I12x\n."
    yield "PK-4-long-number", b"L" + b"9" * 30 + b"L\n."
    yield "PK-4-quotes", b"S'abc\n."
    yield "PK-4-memo", b"Np-1\n."
    yield "PK-4-negative-length", b"\x8b\xff\xff\xff\xff."
    yield "PK-5-empty-stack", b"\x80\x02."
    yield "PK-5-pop", b"0."
    yield "PK-5-no-mark", b"Nt."
    yield "PK-5-below-mark", b"N(0R."
    yield "PK-5-left-over", b"NN."
    yield "PK-5-odd", b"}(Nu."
    yield "PK-5-append", b"}Na."
    yield "PK-5-too-few", b"N\x86."
    yield "PK-6-missing", b"h\x07."
    yield "PK-6-sparse", b"Nr\x10\x27\0\x000j\x11\x27\0\0."
    yield "PK-7-global", b"c" + b"a" * 2000 + b"\nb\n."
    yield "PK-7-depth", b"]" * 600 + b"a" * 599 + b"."
    yield "PK-7-string", b"X" + struct.pack("<I", 1100000) + b"a" * 1100000 + b"."
    yield "PK-7-containers", b"]0" * 300000 + b"N."
    yield "PK-7-stack", b"N" * 1100000 + b"."
    yield "PK-8-none", b"N)R."
    yield "PK-8-arguments", glob("torch", "Size") + b"NR."
    yield "PK-8-ordered-dict", glob("collections", "OrderedDict") + b"N\x85R."
    yield "PK-8-build-none", b"NNb."
    yield "PK-8-build-global", glob("torch", "Size") + b"}b."
    yield "PK-8-build-state", EMPTY + b"Nb."
    yield "PK-8-few", state(("a", REBUILD + b"(" + storage() + b"tR"))
    yield "PK-8-flag", state(("a", tensor(flag=b"N")))
    yield "PK-8-hooks", state(("a", tensor(hooks=b"}U\x01aNs")))
    yield "PK-8-parameter", state(("a", glob("torch._utils", "_rebuild_parameter") + b")R"))
    yield "PK-9-text", b"Pabc\n."
    yield "PK-9-no-tuple", b"K\x01Q."
    yield "PK-9-short", tup(u("storage")) + b"Q."
    yield "PK-9-name", tup(u("module"), FLOAT, u("0"), u("cpu"), integer(4)) + b"Q."
    yield "PK-9-class", state(("a", tensor(storage(kind=glob("torch", "float32")))))
    yield "PK-9-key", state(("a", tensor(storage(key="../0"))))
    yield "PK-9-nul", state(("a", tensor(storage(key="0\0x"))))
    yield "PK-9-negative", state(("a", tensor(storage(count=-1))))
    yield "PK-9-overflow", state(("a", tensor(storage(count=1 << 62))))
    yield "PK-10-none", b"N."
    yield "PK-10-list", b"]."
    yield "PK-10-int", state(("a", integer(1)))
    yield "PK-10-nested", state(("a", EMPTY))
    yield "PK-10-key", b"\x80\x02}K\x01" + tensor() + b"s."
    yield "PK-10-size", state(("a", glob("torch", "Size") + b")\x85R"))
    yield "PK-11-twice", state(("a", tensor()), ("a", tensor()))
    yield "PK-12-offset", state(("a", tensor(offset=1)))
    yield "PK-12-negative-offset", state(("a", tensor(offset=-1)))
    yield "PK-12-negative-size", state(("a", tensor(size=(-4,))))
    yield "PK-12-negative-stride", state(("a", tensor(stride=(-1,))))
    yield "PK-12-too-large", state(("a", tensor(size=(5,))))
    yield "PK-12-rank", state(("a", tensor(size=(2, 2))))
    yield "PK-12-overflow", state(("a", tensor(size=(1 << 40, 1 << 40), stride=(0, 0))))
    yield "PK-12-stride-overflow", state(("a", tensor(size=(3,), stride=(1 << 62,))))
    yield "PK-12-count-overflow", state(("a", tensor(size=(1 << 40, 1 << 40, 0), stride=(0, 0, 0))))
    yield "PK-12-dimensions", state(("a", tensor(size=(1,) * 65, stride=(1,) * 65)))
    yield "PK-12-float-size", state(("a", REBUILD + tup(storage(), integer(0), tup(b"G" + b"\0" * 8),
                                                         tup(integer(1)), b"\x89", EMPTY) + b"R"))
    v3 = glob("torch._utils", "_rebuild_tensor_v3")
    untyped = storage(count=16, kind=glob("torch.storage", "UntypedStorage"))
    yield "good-v3", state(("a", tensor(untyped, call=v3, more=[glob("torch", "float32")])))
    yield "PK-13-none", state(("a", tensor(untyped, call=v3, more=[b"N"])))
    yield "PK-13-storage", state(("a", tensor(untyped, call=v3, more=[FLOAT])))
    yield "PK-14-count", state(("a", tensor()), ("b", tensor(storage(count=2), size=(2,))))
    yield "PK-14-class", state(("a", tensor()), ("b", tensor(storage(kind=glob("torch", "IntStorage")))))
    yield "PK-15-expanded", state(("a", tensor(size=(1 << 30,), stride=(0,))))
    yield "PK-15-sum", state(*((f"t{i}", tensor(size=(1 << 20,), stride=(0,))) for i in range(5)))
    yield "PK-16-sparse", state(("a", glob("torch._utils", "_rebuild_sparse_tensor") + b")R"))
    yield "PK-16-quantized", state(("a", tensor(storage(kind=glob("torch", "QInt8Storage")))))
    yield "PK-16-dtype", state(("a", tensor(untyped, call=v3, more=[glob("torch", "complex128")])))
    yield "PK-16-conj", state(("a", tensor(more=[b"}U\x04conj\x88s"])))
    yield "PK-16-attributes", state(("a", tensor() + b"}b"))


MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
INFO = b"\x80\x02}" + u("little_endian") + b"\x88s."


def legacy(magic=MAGIC, protocol=b"\x80\x02M\xe9\x03.", info=INFO, body=None, keys=b"\x80\x02]U\x010a.",
           data=struct.pack("<q", 4) + DATA):
    body = body or state(("a", tensor(storage(view=b"N"))))
    return magic + protocol + info + body + keys + data


def legacies():
    yield "good-legacy", legacy()
    view = tup(u("v"), integer(2), integer(2))
    yield "good-legacy-view", legacy(body=state(("a", tensor(storage(view=view), size=(2,)))))
    yield "PK-17-no-magic", GOOD
    yield "PK-17-magic", legacy(magic=b"\x80\x02K\x07.")
    yield "PK-17-protocol", legacy(protocol=b"\x80\x02K\x01.")
    yield "PK-17-big-endian", legacy(info=b"\x80\x02}" + u("little_endian") + b"\x89s.")
    yield "PK-17-no-info", legacy(info=b"\x80\x02N.")
    yield "PK-17-tar", b"sys_info".ljust(257, b"\0") + b"ustar" + b"\0" * 762
    yield "PK-9-legacy-view", legacy(body=state(("a", tensor(storage(view=tup(u("v"), integer(2), integer(3)))))))
    yield "PK-12-legacy-view", legacy(body=state(("a", tensor(storage(view=view)))))
    yield "PK-18-missing", legacy(keys=b"\x80\x02].", data=b"")
    yield "PK-18-unknown", legacy(keys=b"\x80\x02]U\x011a.")
    yield "PK-18-twice", legacy(keys=b"\x80\x02](U\x010U\x010e.")
    yield "PK-18-no-list", legacy(keys=b"\x80\x02N.")
    yield "PK-18-no-text", legacy(keys=b"\x80\x02]K\x01a.")
    yield "PK-19-count", legacy(data=struct.pack("<q", 3) + DATA)
    yield "PK-19-cut", legacy(data=struct.pack("<q", 4) + DATA[:8])
    yield "PK-19-negative", legacy(data=struct.pack("<q", -1) + DATA)
    yield "PK-20-trailing", legacy(data=struct.pack("<q", 4) + DATA + b"\0")


def write(folders, name, content):
    """PK-1-what becomes PK-01-what."""
    if name.startswith("good-"):
        (folders["good"] / f"{name[5:]}.bin").write_bytes(content)
    else:
        family, number, what = name.split("-", 2)
        (folders["bad"] / f"{family}-{int(number):02}-{what}.bin").write_bytes(content)


def main():
    tests = Path(sys.argv[1])
    folders = {"bad": tests / "malformed", "good": tests / "golden" / "torch_by_hand"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        for old in [*folder.glob("TZ-*.bin"), *folder.glob("PK-*.bin")]:
            old.unlink()
    for name, content in zips():
        write(folders, name, content)
    for name, pickle in pickles():
        # Big ones would bloat the repository: pickle_test.cpp makes those.
        if len(pickle) < 100_000:
            write(folders, name, make(records(pickle=pickle)))
    for name, content in legacies():
        write(folders, name, content)


if __name__ == "__main__":
    main()
