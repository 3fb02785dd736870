#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the list of what is inside a wheel, as CycloneDX 1.5.

    make_sbom.py OUTPUT VERSION NAME=VERSION... [--bundled FOLDER]

NAME=VERSION are the libraries that were linked in; every library in FOLDER is listed with the SHA-256 of its file. The
same input gives the same bytes: there is no time and no serial number in it.
"""

import argparse
import hashlib
import json
import pathlib

LICENSES = {
    "openssl": "Apache-2.0", "pcre2": "BSD-3-Clause", "libdeflate": "MIT", "yaml-cpp": "MIT", "nlohmann_json": "MIT",
    "nanobind": "BSD-3-Clause", "eigen": "MPL-2.0", "curl": "curl", "zlib": "Zlib", "libzstd": "BSD-3-Clause",
}


def component(name, version):
    entry = {"type": "library", "bom-ref": f"{name}@{version}", "name": name, "version": version}
    if name in LICENSES:
        entry["licenses"] = [{"license": {"id": LICENSES[name]}}]
    return entry


def file_component(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"type": "library", "bom-ref": f"file:{path.name}", "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": digest}]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("version")
    parser.add_argument("libraries", nargs="*")
    parser.add_argument("--bundled", type=pathlib.Path)
    options = parser.parse_args()
    parts = [component(*library.split("=", 1)) for library in sorted(options.libraries) if not library.endswith("=")]
    if options.bundled and options.bundled.is_dir():
        parts += [file_component(path) for path in sorted(options.bundled.iterdir())]
    root = {"type": "library", "bom-ref": f"ferrule@{options.version}", "name": "ferrule", "version": options.version,
            "purl": f"pkg:pypi/ferrule@{options.version}", "licenses": [{"license": {"id": "Apache-2.0"}}]}
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": root},
        "components": parts,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
