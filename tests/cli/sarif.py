# SPDX-License-Identifier: Apache-2.0
"""The SARIF logs of verify, check, scan and diff keep the format's constraints and say what the text says.

    sarif.py FERRULE [SCHEMA]

SCHEMA is another JSON schema to validate against, such as the whole one that OASIS publishes.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import jsonschema

FERRULE = str(pathlib.Path(sys.argv[1]).resolve())
HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE.parent / "golden" / "cases"
SCHEMAS = [HERE / "sarif_constraints.json"] + [pathlib.Path(path) for path in sys.argv[2:]]


def log_of(folder, *arguments):
    done = subprocess.run([FERRULE, *arguments, "--format", "sarif"], cwd=folder, capture_output=True, text=True)
    log = json.loads(done.stdout)
    for schema in SCHEMAS:
        jsonschema.validate(log, json.loads(schema.read_text()))
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"], result
    return done.returncode, run


def main() -> int:
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        shutil.copytree(CASES / "lora" / "expected", folder / "good")
        shutil.copytree(CASES / "lora" / "expected", folder / "bad one")
        config = folder / "bad one" / "adapter_config.json"
        config.write_text(config.read_text().replace('"r": 4', '"r": 3'))

        code, run = log_of(folder, "verify", "good")
        assert code == 0 and run["results"] == [] and run["invocations"][0]["executionSuccessful"], run
        code, run = log_of(folder, "verify", "bad one")
        assert code == 1 and {result["ruleId"] for result in run["results"]} == {"AD-5"}, run
        result = run["results"][0]
        assert result["level"] == "error" and "config says 3" in result["message"]["text"], result
        location = result["locations"][0]
        assert location["physicalLocation"]["artifactLocation"]["uri"].startswith("bad%20one/"), location
        assert "lora_A" in location["logicalLocations"][0]["fullyQualifiedName"], location
        rule = run["tool"]["driver"]["rules"][0]
        assert rule["shortDescription"]["text"].startswith("Ranks agree with the config"), rule
        code, run = log_of(folder, "verify", "missing", "good")
        assert code == 3 and not run["invocations"][0]["executionSuccessful"], run

        (folder / "plain.txt").write_bytes(b"cposix\ngetpid\n)R.")  # The id of this process.
        code, run = log_of(folder, "scan", "plain.txt")
        assert code == 1 and run["results"][0]["ruleId"] == "PK-3" and run["results"][0]["level"] == "error", run
        assert run["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "posix.getpid", run

        code, run = log_of(folder, "diff", "good", str(CASES / "rslora" / "expected"))
        assert code == 0 and run["results"], run
        assert {result["ruleId"] for result in run["results"]} <= {"diff-scaled", "diff-different", "diff-config"}, run
        code, run = log_of(folder, "check", "good", "--base", "missing")
        assert code == 3 and run["results"][0]["level"] == "error", run
        (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 16}')
        code, run = log_of(folder, "check", "good", "--base", "config.json")
        assert run["results"], run
    print("as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
