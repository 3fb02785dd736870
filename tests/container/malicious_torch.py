# SPDX-License-Identifier: Apache-2.0
"""malicious_torch.py FERRULE TORCH_REWRITE: files that would run something run nothing here.

Makes pickles, each of which would create a file called `marker`, and wraps them in every container.
Python itself shows, in a process of its own, that the bare ones work. Then `ferrule scan` must say so
(exit 1, and the global's name where the file has one), the reader must refuse them, and no marker may
appear. Bombs (of memory, of time, of nesting) are scanned and read under limits of the process.
"""
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

FERRULE, REWRITE = (str(Path(word).resolve()) for word in sys.argv[1:3])


def u(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def short_text(text):
    encoded = text.encode()
    return b"\x8c" + bytes([len(encoded)]) + encoded


COMMAND = "touch marker"
PYTHON = "open('marker','w').close()"
ESCAPED = "ope\\x6e('marker','w').close()"


def payloads():
    """(name, pickle, global that must be named, whether the standard library alone runs it)"""
    call = lambda module, name, arg=COMMAND: f"c{module}\n{name}\n".encode() + u(arg) + b"\x85R"
    yield "os_system", b"\x80\x02" + call("os", "system") + b".", "os.system", True
    yield "posix_system", b"\x80\x02" + call("posix", "system") + b".", "posix.system", True
    yield "nt_system", b"\x80\x02" + call("nt", "system") + b".", "nt.system", False
    yield "builtins_exec", b"\x80\x02" + call("builtins", "exec", PYTHON) + b".", "builtins.exec", True
    yield "builtins_eval", b"\x80\x02" + call("builtins", "eval", PYTHON) + b".", "builtins.eval", True
    yield "python2_eval", b"\x80\x02" + call("__builtin__", "eval", PYTHON) + b".", "__builtin__.eval", True
    yield "protocol_0", b"cos\nsystem\n(S'" + COMMAND.encode() + b"'\ntR.", "os.system", True
    yield "inst", b"(S'" + COMMAND.encode() + b"'\nios\nsystem\n.", "os.system", True
    yield "obj", b"(cos\nsystem\n" + u(COMMAND) + b"o.", "os.system", True
    yield "stack_global", b"\x80\x04" + short("os") + short("system") + b"\x93" + short(COMMAND) + b"\x85R.", "os.system", True
    yield "stack_global_memo", (b"\x80\x04" + short("system") + b"\x940" + short("os") + b"h\x00\x93" +
                                short(COMMAND) + b"\x85R."), "os.system", True
    yield "stack_global_escaped", b"V\\u006fs\nVsys\\u0074em\n\x93" + u(COMMAND) + b"\x85R.", "os.system", True
    yield "stack_global_octal", b"S'\\157s'\nS'system'\n\x93" + u(COMMAND) + b"\x85R.", None, True
    yield "dotted", b"\x80\x04" + short("subprocess") + short("os.system") + b"\x93" + short(COMMAND) + b"\x85R.", "subprocess.os.system", True
    yield "newobj", (b"\x80\x02csubprocess\nPopen\n" + u(COMMAND) + b"\x85\x81" + b"."), "subprocess.Popen", False
    yield "popen", b"\x80\x02csubprocess\nrun\n](" + u("touch") + u("marker") + b"e\x85R.", "subprocess.run", True
    yield "runpy", b"\x80\x02" + call("runpy", "_run_code", PYTHON) + b".", "runpy._run_code", False
    yield "importlib", b"\x80\x02" + call("importlib", "import_module", "antigravity") + b".", "importlib.import_module", False
    yield "getattr_chain", (b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n" + u("os") + b"\x85R" + u("system") +
                            b"tR" + u(COMMAND) + b"\x85R."), "builtins.getattr", True
    yield "pty", b"\x80\x02cpty\nspawn\n](" + u("touch") + u("marker") + b"e\x85R.", "pty.spawn", True
    yield "timeit", b"\x80\x02ctimeit\ntimeit\n(" + u(PYTHON) + b"tR.", "timeit.timeit", True
    yield "cprofile", b"\x80\x02" + call("cProfile", "run", PYTHON) + b".", "cProfile.run", True
    yield "pdb", b"\x80\x02" + call("pdb", "run", PYTHON) + b".", "pdb.run", False
    yield "code", b"\x80\x02ccode\nInteractiveInterpreter\n)R.", "code.InteractiveInterpreter", False
    yield "doctest", b"\x80\x02cdoctest\ndebug_script\n(" + u(PYTHON) + b"tR.", "doctest.debug_script", False
    yield "partial", (b"cfunctools\npartial\n(cos\nsystem\n" + u(COMMAND) + b"tR)R."), "functools.partial", True
    yield "methodcaller", (b"coperator\nmethodcaller\n(" + u("system") + u(COMMAND) + b"tRcposix\n__name__\n."), "operator.methodcaller", False
    yield "attrgetter", b"coperator\nattrgetter\n" + u("system") + b"\x85R.", "operator.attrgetter", False
    yield "torch_load", b"\x80\x02" + call("torch.serialization", "load", "x") + b".", "torch.serialization.load", False
    yield "torch_hub", b"\x80\x02" + call("torch.hub", "load", "x") + b".", "torch.hub.load", False
    yield "numpy_runstring", b"\x80\x02" + call("numpy.testing._private.utils", "runstring", PYTHON) + b".", "numpy.testing._private.utils.runstring", False
    yield "webbrowser", b"\x80\x02" + call("webbrowser", "open", "x") + b".", "webbrowser.open", False
    yield "ctypes", b"\x80\x02" + call("ctypes", "CDLL", "x") + b".", "ctypes.CDLL", False
    yield "pip", b"\x80\x02" + call("pip", "main", "x") + b".", "pip.main", False
    yield "unheard_of", b"\x80\x02" + call("some_new_module", "run_it", "x") + b".", "some_new_module.run_it", False
    yield "build_setstate", (b"\x80\x02csubprocess\nPopen\n)\x81}" + u("args") + u("x") + b"sb."), "subprocess.Popen", False
    yield "build_on_class", b"ctorch._utils\n_rebuild_tensor_v2\nN}" + u("__code__") + b"Ns\x86b.", "torch._utils._rebuild_tensor_v2", False
    yield "extension", b"\x80\x02\x82\x07)R.", None, False
    yield "two_protos", b"\x80\x02\x80\x04" + call("os", "system") + b".", "os.system", True
    yield "then_broken", b"\x80\x02" + call("os", "system") + b"0\xff", "os.system", True
    yield "then_cut", b"\x80\x02" + call("os", "system"), "os.system", True
    yield "frame_overrun", b"\x80\x04\x95\x05\0\0\0\0\0\0\0" + call("os", "system") + b".", "os.system", True
    yield "hex_number", b"I0x10\n0L1_0L\n0" + call("os", "system") + b".", "os.system", True
    yield "list_setitem", b"](NeK\0K\1s0" + call("os", "system") + b".", "os.system", True
    yield "build_none", b"]Nb0" + call("os", "system") + b".", "os.system", True
    yield "second_pickle", b"\x80\x02N." + b"\x80\x02" + call("os", "system") + b".", "os.system", False
    # Attributes of what is allowed, and names that only look allowed.
    for module, name in (("torch._utils", "_rebuild_tensor_v2.__globals__"), ("collections", "OrderedDict.__init__"),
                         ("torch", "FloatStorage.__reduce__"), ("torch", "storage._load_from_bytes"),
                         ("torch._utils ", "_rebuild_tensor_v2"), ("torch\\._utils", "_rebuild_tensor_v2"),
                         ("collections", "OrderedDict\r"), ("\u043es", "system"), ("os", "syst\u0435m"),
                         ("__main__", "torch._utils._rebuild_tensor_v2"), ("", "os.system")):
        yield (f"like_{module}_{name}".replace("/", "_").replace("\r", "CR"),
               b"\x80\x04" + short_text(module) + short_text(name) + b"\x93" + short(COMMAND) + b"\x85R.",
               f"{module}.{name}" if module and "\r" not in name else None, False)
    # What deny-lists have missed at one time or another.
    for module, name in (
            ("torch.storage", "_load_from_bytes"), ("torch", "load"), ("torch.jit", "load"), ("torch.utils._config_module", "load_config"),
            ("torch._dynamo.guards", "GuardBuilder.get"), ("torch.utils.bottleneck.__main__", "run_prof"),
            ("torch.distributed.rpc", "rpc_sync"), ("numpy", "load"), ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.f2py.crackfortran", "getlincoef"), ("_codecs", "decode"), ("codecs", "open"), ("io", "open"), ("_io", "FileIO"),
            ("pathlib", "Path.touch"), ("shutil", "rmtree"), ("os", "execv"), ("bdb", "Bdb"), ("pydoc", "pipepager"),
            ("trace", "Trace"), ("logging.config", "listen"), ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
            ("idlelib.run", "Executive"), ("ensurepip", "_run_pip"), ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
            ("zipimport", "zipimporter"), ("socket", "create_connection"), ("urllib.request", "urlopen"), ("ssl", "get_server_certificate"),
            ("http.client", "HTTPSConnection"), ("multiprocessing.util", "spawnv_passfds"), ("marshal", "loads"), ("types", "CodeType"),
            ("builtins", "compile"), ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "print"), ("copyreg", "add_extension"),
            ("dill._dill", "_create_function"), ("cloudpickle.cloudpickle", "_make_function"), ("joblib.numpy_pickle", "load"),
            ("site", "main"), ("pkgutil", "resolve_name"), ("uuid", "_popen"), ("sqlite3", "connect"), ("atexit", "register")):
        yield f"deny_{module}_{name}", b"\x80\x02" + call(module, name) + b".", f"{module}.{name}", False
    # Other ways to the same call.
    get = b"cos\nsystem\n"
    yield "memo_long", b"\x80\x02" + get + b"r\x01\x00\x01\x000j\x01\x00\x01\x00" + u(COMMAND) + b"\x85R.", "os.system", True
    yield "memo_text", get + b"p7\n0g7\n" + u(COMMAND) + b"\x85R.", "os.system", True
    yield "memoized_twice", b"\x80\x04" + get + b"\x94\x940h\x01" + u(COMMAND) + b"\x85R.", "os.system", True
    yield "popped_mark", b"(" + get + u(COMMAND) + b"\x85R1N.", "os.system", True
    yield "in_a_tuple", get + u(COMMAND) + b"\x85RK\x01\x86.", "os.system", True
    yield "in_a_set", b"\x80\x04\x8f(" + get + u(COMMAND) + b"\x85R\x90.", "os.system", True
    yield "in_a_frozenset", b"\x80\x04(" + get + u(COMMAND) + b"\x85R\x91.", "os.system", True
    yield "dict_key", b"}(" + get + u(COMMAND) + b"\x85RNu.", "os.system", True
    yield "build_state", b"\x80\x02}" + get + u(COMMAND) + b"\x85Rb.", "os.system", True
    yield "persistent_id", b"\x80\x02" + get + u(COMMAND) + b"\x85RQ.", "os.system", True
    yield "persistent_text", get + u(COMMAND) + b"\x85R0Pstorage\n.", "os.system", True
    yield "framed", b"\x80\x04\x95\x30\0\0\0\0\0\0\0" + get + u(COMMAND) + b"\x85R." + b"." * 20, "os.system", False
    yield "buffers", b"\x80\x05" + get + u(COMMAND) + b"\x85R0\x97.", "os.system", True
    yield "bytearray", b"\x80\x05\x96\x04\0\0\0\0\0\0\0abcd0" + get + u(COMMAND) + b"\x85R.", "os.system", True
    yield "map_exec", (b"cbuiltins\nlist\n(cbuiltins\nmap\n(" + get + b"](" + u(COMMAND) + b"etRtR."), "os.system", True
    yield "newobj_ex", b"\x80\x04csubprocess\nPopen\n" + u(COMMAND) + b"\x85}\x92.", "subprocess.Popen", False
    yield "spaces_in_ints", b"I 7 \n0F 1.5\n0" + get + u(COMMAND) + b"\x85R.", "os.system", False
    yield "bool_as_int", b"I01\n0I00\n0" + get + u(COMMAND) + b"\x85R.", "os.system", True
    yield "long_of_nothing", b"\x8a\x000" + get + u(COMMAND) + b"\x85R.", "os.system", True
    yield "protocol_0_crlf", b"cos\nsystem\n(V" + COMMAND.encode() + b"\ntR.", "os.system", True
    yield "eval_escaped", b"cbuiltins\neval\n(S\"" + ESCAPED.encode() + b"\"\ntR.", "builtins.eval", True


def torch_zip(content, name="archive/data.pkl", deflated=False, more=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        archive.writestr(name, content)
        archive.writestr("archive/version", "3\n")
        for other, data in more:
            archive.writestr(other, data)
    return out.getvalue()


def containers(content):
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    legacy = magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}X\x0d\0\0\0little_endian\x88s."
    plain = torch_zip(content)
    yield "bare", content
    yield "zip", plain
    yield "zip_odd_name", torch_zip(b"\x80\x02}.", more=[("archive/data.txt", content)])
    yield "zip_storage", torch_zip(b"\x80\x02}.", more=[("archive/data/0", content)])
    yield "zip_deflated", torch_zip(content, deflated=True)
    yield "zip_in_zip", torch_zip(b"\x80\x02}.", more=[("archive/extra", plain)])
    yield "zip_upper_case", torch_zip(content, name="archive/DATA.PKL")
    yield "legacy_state", legacy + content
    yield "legacy_first", content + legacy
    # torch ignores checksums, names in local headers and what stands before an archive.
    broken = bytearray(plain)
    at = broken.find(b"PK\x01\x02")
    broken[at + 16:at + 20] = b"\0\0\0\0"
    yield "zip_wrong_crc", bytes(broken)
    renamed = bytearray(plain)
    renamed[30:46] = b"archive/data.pkX"
    yield "zip_other_local_name", bytes(renamed)
    flagged = bytearray(plain)
    for start in (6, at + 8):
        flagged[start] |= 1
    yield "zip_encrypted_flag", bytes(flagged)
    yield "zip_trailing", plain + b"trailing"
    yield "prefixed_zip", b"GGUF" + plain


def odd_containers(content):
    """More than one place to look, and places where nobody looks: for a few payloads only."""
    clean = b"\x80\x02}."
    plain = torch_zip(content)

    def archive(*entries, comment=b""):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name, data in entries:
                info = zipfile.ZipInfo("placeholder")
                info.filename = name
                file.writestr(info, data)
            file.comment = comment
        return out.getvalue()

    yield "zip_twice_the_same_name", archive(("archive/data.pkl", clean), ("archive/data.pkl", content))
    yield "zip_two_roots", archive(("a/data.pkl", clean), ("b/data.pkl", content))
    yield "zip_parent", archive(("archive/data.pkl", clean), ("../x", content))
    yield "zip_absolute", archive(("archive/data.pkl", clean), ("/tmp/x", content))
    yield "zip_backslash", archive(("archive/data.pkl", clean), ("archive\\data.pkl", content))
    yield "zip_no_name", archive(("archive/data.pkl", clean), ("", content))
    yield "zip_directory_with_content", archive(("archive/data.pkl", clean), ("archive/x/", content))
    yield "zip_blank_name", archive(("archive/data.pkl", clean), (" ", content))
    yield "zip_picture", archive(("archive/data.pkl", clean), ("photo.png", content))
    yield "zip_byteorder", archive(("archive/data.pkl", clean), ("archive/byteorder", content))
    yield "zip_upper_root", archive(("ARCHIVE/data.pkl", content))
    yield "zip_behind_zip", torch_zip(clean) + plain
    yield "zip_before_zip", plain + torch_zip(clean)
    yield "zip_three_deep", archive(("1", archive(("2", plain))))
    yield "zip_five_deep", archive(("1", archive(("2", archive(("3", archive(("4", plain))))))))
    yield "zip_behind_html", b"<!DOCTYPE html>" + plain
    yield "zip_behind_safetensors", struct.pack("<Q", 2) + b"{}" + plain
    yield "legacy_storage_keys", (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." b"\x80\x02M\xe9\x03." b"\x80\x02}." + clean + content)
    yield "legacy_system", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." b"\x80\x02M\xe9\x03." + content
    yield "twenty_before", clean * 20 + content
    yield "numpy_objects", (b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(69) + b"\n" + content)


def bombs():
    """Files that ask for more than there is; each must be done with in a moment."""
    yield "huge_memo", b"\x80\x02Nr\xff\xff\xff\x7f."
    yield "huge_string", b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x."
    yield "negative_string", b"T" + struct.pack("<i", -1) + b"."
    yield "huge_bytes", b"\x80\x05\x96" + struct.pack("<Q", (1 << 64) - 1) + b"."
    yield "huge_long", b"\x80\x02\x8b" + struct.pack("<i", 0x7fffffff) + b"."
    yield "many_marks", b"(" * 3_000_000 + b"."
    yield "many_nones", b"N" * 3_000_000 + b"."
    yield "deep_tuples", b"N" + b"\x85" * 3_000_000 + b"."
    yield "deep_lists", b"]" * 300_000 + b"a" * 299_999 + b"."
    yield "laughs", b"\x80\x04]" + b"".join(b"\x94(" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"h" + bytes([i]) + b"l" for i in range(200)) + b"."
    yield "many_digits", b"L" + b"9" * 3_000_000 + b"L\n."
    yield "many_pickles", b"N." * 1_000_000
    yield "many_globals", b"cos\nsystem\n0" * 200_000 + b"N."
    yield "long_name", b"c" + b"a" * 3_000_000 + b"\nb\n."
    yield "no_newline", b"V" + b"a" * 3_000_000
    yield "huge_frame", b"\x80\x04\x95" + struct.pack("<Q", (1 << 64) - 1) + b"N."
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"N" * (200 << 20))
    yield "deflated_200_mb", out.getvalue()
    inner = out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(50):
            archive.writestr(f"{i}", inner)
    yield "fifty_of_them", out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(30_000):
            archive.writestr(f"archive/{i}", b"")
    yield "many_entries", out.getvalue()
    yield "many_headers", b"PK\x03\x04" * 500_000 + b"PK\x05\x06" + b"\0" * 18
    yield "entries_of_all_bits", b"PK\x05\x06" + b"\0" * 4 + b"\xff" * 12 + b"\0\0"


def limit():
    # A sanitizer reserves terabytes of addresses: there the time is the limit alone.
    if not os.environ.get("FERRULE_SANITIZED"):
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, preexec_fn=limit)
    assert done.returncode in (0, 1, 2, 3), (command, done.returncode, done.stderr)
    return done


def works_in_python(content, folder):
    """Python's own unpickler makes the marker."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        for descriptor in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        try:
            pickle.loads(content)
        except BaseException:
            pass
        os._exit(0)
    os.waitpid(child, 0)
    return (folder / "marker").exists()


WHOLE = ("bare", "zip", "zip_odd_name", "zip_deflated", "zip_in_zip", "legacy_state")
NOT_READ_BY_THE_READER = ("zip_odd_name", "zip_storage", "zip_in_zip")


def check(name, files, expected, base, may_be_read=False):
    """All containers of one payload, in one folder."""
    with tempfile.TemporaryDirectory(dir=base) as work:
        folder = Path(work)
        for container, content in files.items():
            (folder / container).write_bytes(content)
        scan = run([FERRULE, "scan", *files, "--json"], folder)
        assert scan.returncode == 1, (name, scan.returncode, scan.stdout, scan.stderr)
        for report in json.loads(scan.stdout)["files"]:
            where = (name, report)
            assert report["would_run"] or report["not_read"], where
            found = {hit["global"] for hit in report["would_run"]}
            # Where an archive breaks its rules as well, part of it cannot be seen; never where it is whole.
            if expected:
                assert expected in found or report["not_read"], where
                assert expected in found or report["path"] not in WHOLE, where
        verdicts = json.loads(run([FERRULE, "verify", *files, "--json"], folder).stdout)["paths"]
        assert len(verdicts) == len(files), name
        for verdict in verdicts:
            harmless_to_read = verdict["path"] in NOT_READ_BY_THE_READER
            assert may_be_read or verdict["good"] == harmless_to_read, (name, verdict)
        first = next(iter(files))
        assert run([REWRITE, first, "out.bin"], folder).returncode in (0, 1), name
        assert not (folder / "marker").exists(), name
    return len(files)


def main():
    checked = proven = 0
    few = {"os_system", "stack_global", "framed", "deny_builtins_getattr"}
    with tempfile.TemporaryDirectory() as base:
        for name, content, expected, runs in payloads():
            if runs:
                with tempfile.TemporaryDirectory(dir=base) as work:
                    assert works_in_python(content, Path(work)), name
                proven += 1
            checked += check(name, dict(containers(content)), expected, base)
            if name in few:
                checked += check(name, dict(odd_containers(content)), None, base, may_be_read=True)
        wrappers = {"7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 100, "gzip": b"\x1f\x8b" + b"\0" * 100,
                    "bzip2": b"BZh9" + b"\0" * 100, "zlib": zlib.compress(pickle.dumps(os.getcwd())),
                    "tar": b"x".ljust(257, b"\0") + b"ustar" + b"\0" * 800}
        checked += check("wrapper", wrappers, None, base)
        for name, content in bombs():
            with tempfile.TemporaryDirectory(dir=base) as work:
                (Path(work) / "model.bin").write_bytes(content)
                run([FERRULE, "scan", "model.bin"], Path(work))
                done = run([FERRULE, "verify", "model.bin"], Path(work))
                assert done.returncode == 1 and len(done.stderr) < 20_000, (name, done.returncode, done.stderr[:500])
            checked += 1
    assert proven >= 40, proven
    print(f"{checked} files scanned and read, {proven} payloads proven, no marker")


if __name__ == "__main__":
    main()
