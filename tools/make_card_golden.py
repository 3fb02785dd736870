# SPDX-License-Identifier: Apache-2.0
"""Makes tests/adapter/card_golden.json from folders that real PEFT saved: of each the front matter PEFT wrote and
the facts about model and adapters that decided it, equal ones once.

usage: make_card_golden.py CASES > tests/adapter/card_golden.json
CASES holds folders with case.json (facts) and expected/ (what save_pretrained wrote).
"""

import json
import pathlib
import re
import sys

FACTS = ("class", "module", "name_or_path", "model_tags", "is_transformers")
CONFIG = ("peft_type", "task_type", "auto_mapping", "base_model_name_or_path", "total_step", "oft_block_size", "r")


def read_case(folder):
    case = json.loads((folder / "case.json").read_text())
    card = (folder / "expected" / "README.md").read_text()
    base = case["base"]
    adapters = {}
    for adapter in case["adapters"]:
        if adapter["saved"]:
            config = json.loads((folder / "expected" / adapter["dir"] / "adapter_config.json").read_text())
            adapters[adapter["name"]] = {key: config[key] for key in CONFIG if key in config}
    facts = {key: base.get(key) for key in FACTS}
    facts["modules"] = {path: name for path, name in base["modules"].items() if "." not in path}
    config = base.get("config") or {}
    facts["config"] = {"_name_or_path": config["_name_or_path"]} if "_name_or_path" in config else None
    front_matter = re.match(r"---\n([\s\S]*?)\n---\n", card).group(1)
    return {"name": folder.name, "facts": facts, "adapters": adapters, "front_matter": front_matter}


def main():
    cases = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*/case.json")):
        if not (path.parent / "expected" / "README.md").exists():
            continue
        case = read_case(path.parent)
        kinds = [(config["peft_type"], config["task_type"]) for config in case["adapters"].values()]
        if kinds:
            cases.setdefault(json.dumps([case["facts"], kinds, case["front_matter"]]), case)
    print("[\n" + ",\n".join(json.dumps(case, sort_keys=True) for case in cases.values()) + "\n]")


if __name__ == "__main__":
    main()
