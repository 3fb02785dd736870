#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks which files include which: an arrow may only point to a layer on the left.

    check_layers.py [ROOT]

    base <- format, io, regex <- container <- peft <- adapter <- model, update <- check <- edit, merge <- exchange, factor <- report, hub
    <- cli, python/src (nanobind), torch/include (LibTorch): these see public headers only
    Inside hub: transport <- files <- huggingface, object_store <- the room's own files.
    Inside io: the room's own files <- transaction.

A public header includes the standard library only, and belongs to a room like any other file.
"""

import pathlib
import re
import sys

# Each room, and the rooms it may include besides itself and base.
MAY_INCLUDE = {
    "base": set(),
    "format": set(),
    "io": set(),
    "regex": set(),
    "container": {"format", "io"},
    "peft": {"format", "io", "regex", "container"},
    "adapter": {"format", "io", "regex", "container", "peft"},
    "model": {"format", "io", "regex", "container", "peft", "adapter"},
    "update": {"format", "io", "container", "peft", "adapter"},
    "check": {"format", "io", "regex", "container", "peft", "adapter", "model", "update"},
    "edit": {"format", "io", "regex", "container", "peft", "adapter", "model", "update", "check"},
    "exchange": {"format", "io", "regex", "container", "peft", "adapter", "model", "update", "check", "edit"},
    "publish": {"io", "container", "peft", "adapter"},
    "rescue": {"format", "io", "container", "peft", "adapter"},
    "merge": {"format", "io", "regex", "container", "peft", "adapter", "model", "update", "check"},
    "factor": {"format", "io", "container", "peft", "adapter", "model", "update", "check", "merge"},
    "report": {"format", "io", "container", "peft", "adapter", "model", "update", "check", "edit", "exchange", "merge", "factor", "publish", "rescue"},
    "hub": {"format", "io", "container", "peft", "adapter", "edit"},
}

# Folders inside a room, and the folders of that room that they may include besides themselves. The room's own
# files see all of them.
FOLDERS = {
    "hub": {
        "transport": set(),
        "files": {"transport"},
        "huggingface": {"transport", "files"},
        "object_store": {"transport", "files"},
    },
}

# Folders above the files of their room: those may not include them.
ON_TOP = {"io": {"transaction"}}

# Each public header, and the room that it belongs to: only that room and later ones may include it.
PUBLIC = {
    "base": "call_control durability dtype error export file_names file_range finding read_limits result tensor_source tensor_view text version",
    "format": "file_kind json",
    "io": "save_control writable_bytes written_file",
    "container": "checkpoint pickle_scan scan_report safetensors_file safetensors_writer tensor_stream text_file torch_file torch_writer weights_format"
    " write_options",
    "peft": "adapter_config method_roles model_facts selection targeting",
    "adapter": "adapter adapter_module content_id inspect save_pretrained verify",
    "model": "base_model",
    "update": "diff",
    "check": "check engine_table explain",
    "edit": "clean convert fix normalize",
    "exchange": "exchange",
    "publish": "publish step_folders",
    "rescue": "assemble rescue save_shard",
    "merge": "merge",
    "factor": "combine extract factored_module resize to_lora",
    "report": "report_json rescue_json spectrum_report",
    "hub": "hub",
    "cli": "ferrule",
}
ROOM_OF = {f"ferrule/{name}.hpp": room for room, names in PUBLIC.items() for name in names.split()}

# Third-party libraries, and where they may be included.
LIBRARIES = {
    "nlohmann/": {"src/format"},
    "yaml-cpp/": {"src/format"},
    "pcre2.h": {"src/regex"},
    "curl/": {"src/hub"},
    "openssl/": {"src/io"},
    "Eigen/": {"src/factor"},
    "nanobind/": {"python"},
    "torch/": {"torch"},
    "ATen/": {"torch"},
    "c10/": {"torch"},
}

# Headers by which code reaches the system: src/io alone (and the command, for its terminal).
SYSTEM = re.compile(r"(sys/|unistd\.h|fcntl\.h|dirent\.h|signal\.h|linux/|poll\.h|fstream)")
SYSTEM_MAY = {"src/io", "cli"}

# Calls of std::filesystem that ask the system something. The fault injector sees only what passes
# through src/io, so the library uses io/kind_at.hpp, io/walk.hpp and the like instead. The command
# and LibTorch's headers see public headers only, and report what they cannot reach.
ASKS = re.compile(
    r"\b(?:fs|filesystem)::(?:(?:recursive_)?directory_(?:iterator|entry)|absolute|(?:weakly_)?canonical|copy(?:_file|_symlink)?"
    r"|create_\w+|current_path|equivalent|exists|file_size|hard_link_count|is_(?:block_file|character_file|directory|empty|fifo"
    r"|other|regular_file|socket|symlink)|last_write_time|permissions|proximate|read_symlink|relative|remove(?:_all)?|rename"
    r"|resize_file|space|(?:symlink_)?status|temp_directory_path)\b"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def complaints(root: pathlib.Path):
    folders = [root / "include", root / "src", root / "cli", root / "python", root / "torch"]
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".hpp", ".cpp")):
        place = path.relative_to(root)
        layer = place.parts[0] if place.parts[0] in ("cli", "python", "torch") else "/".join(place.parts[:2])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if layer not in SYSTEM_MAY and ASKS.search(line.split("//")[0]):
                yield f"{place}:{number}: only src/io asks the file system: {ASKS.search(line)[0]}"
            found = INCLUDE.match(line)
            if not found:
                continue
            bracket, name = found.groups()
            why = complaint(layer, bracket, name, place) or folder_complaint(place, name)
            if why:
                yield f"{place}:{number}: {why}: {name}"


def complaint(layer: str, bracket: str, name: str, place: pathlib.Path):
    for library, places in LIBRARIES.items():
        if name.startswith(library):
            return None if layer in places else "a library that this layer may not see"
    if bracket == "<":
        if layer in ("include/ferrule", "torch") and ("/" in name or name.endswith(".h")):
            return "public headers include the C++ standard library alone"
        if SYSTEM.match(name) and layer not in SYSTEM_MAY:
            return "system calls belong in src/io"
        return None
    if name == "ferrule/torch.hpp" or name.startswith("ferrule/torch/"):
        return None if layer == "torch" else "only a program that links LibTorch may see this"
    if name.startswith("ferrule/"):
        if layer in ("cli", "python", "torch"):
            return None
        own = ROOM_OF.get(f"ferrule/{place.name}") if layer == "include/ferrule" else layer.split("/")[1]
        room = ROOM_OF.get(name)
        if room is None or own is None:
            return "name the room of this public header in tools/check_layers.py"
        return None if room in sees(own) else f"{own} may not see this public header of {room}"
    if layer in ("include/ferrule", "torch"):
        return "public headers include nothing of the inside"
    if layer == "cli":
        inside = "/" not in name or name.startswith(("commands/", "print/"))
        return None if inside else "the command sees public headers only"
    if layer == "python":
        return None if "/" not in name else "the Python module sees public headers only"
    own = layer.split("/")[1]
    target = name.split("/")[0]
    if target not in sees(own):
        return f"{own} may not see this"
    return None


def folder_complaint(place: pathlib.PurePath, name: str):
    above = ON_TOP.get(name.split("/")[0], ())
    if len(place.parts) == 3 and place.parts[:2] == ("src", name.split("/")[0]) and name.split("/")[1] in above:
        return f"{place.parts[1]} may not see this"
    if place.parts[0] != "src" or place.parts[1] not in FOLDERS:
        return None
    room, folder = place.parts[1], place.parts[2]
    target = name.split("/")
    if target[0] != room or folder not in FOLDERS[room]:
        return None
    # A header of the room itself is above all of its folders.
    inner = target[1] if len(target) > 2 else None
    return None if inner in FOLDERS[room][folder] | {folder} else f"{room}/{folder} may not see this"


def sees(room: str):
    if room == "cli":
        return {"cli", *PUBLIC}
    return MAY_INCLUDE.get(room, set()) | {room, "base"}


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(complaints(root.resolve()))
    present = {f"ferrule/{path.name}" for path in (root / "include/ferrule").glob("*.hpp")}
    found += [f"{name}: no such public header (tools/check_layers.py)" for name in sorted(ROOM_OF.keys() - present)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
