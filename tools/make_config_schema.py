#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/peft/config_schema_data.inc from the installed PEFT: every type's fields, what they may
hold, their defaults, and which of their lists PEFT keeps as sets.

    python tools/make_config_schema.py            write the file
    python tools/make_config_schema.py --check    exit 1 if it differs from what would be written

A new PEFT release: raise PINNED, run it, read the diff.
"""

import argparse
import dataclasses
import enum
import pathlib
import sys
import types
import typing
import warnings

PINNED = "0.21.2"
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/peft/config_schema_data.inc"

# What the constructor refuses to run without.
REQUIRED = {
    "ADALORA": {"total_step": 10},
    "CPT": {"task_type": "CAUSAL_LM"},
}
# Runtime fields that PEFT never writes.
NOT_WRITTEN = {"runtime_config"}


def accepts(hint) -> set[str]:
    """The JSON types that an annotation stands for."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if hint is type(None):
        return {"kNull"}
    if hint is bool:
        return {"kBool"}
    if hint is int:
        return {"kInt"}
    if hint is float:
        return {"kInt", "kFloat"}
    if hint is str:
        return {"kString"}
    if hint is dict:
        return {"kObject"}
    if origin is typing.Literal:
        return {"kBool" if isinstance(value, bool) else "kString" for value in arguments}
    if origin in (typing.Union, types.UnionType):
        return set().union(*(accepts(argument) for argument in arguments))
    if origin is list:
        if arguments == (str,):
            return {"kStringList"}
        if arguments == (int,):
            return {"kIntList"}
        if typing.get_origin(arguments[0]) is tuple:
            return {"kIntPairs"}
    if origin is dict:
        if arguments[1] is str:
            return {"kStringObject"}
        if arguments[1] is int:
            return {"kIntObject"}
        if typing.get_origin(arguments[1]) is list:
            return {"kIntListObject"}
        return {"kNumberObject"}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"kString"}
    if dataclasses.is_dataclass(hint):
        return {"kObject"}
    raise SystemExit(f"an annotation this tool does not know: {hint!r}")


def field_kinds(peft_type: str, field, hint) -> set[str]:
    """The annotation, and what PEFT takes and writes beyond its annotations."""
    kinds = accepts(hint)
    if field.default is None:
        kinds.add("kNull")
    # Factors are annotated int, and become floats when rsLoRA's strength is folded in.
    if field.name.endswith(("alpha", "lambda")):
        kinds |= {"kInt", "kFloat"}
    # Old files hold null, which PEFT takes for the empty object.
    if field.name == "loftq_config":
        kinds.add("kNull")
    # Written by older versions, and read as null.
    if (peft_type, field.name) == ("ADAMSS", "init_weights"):
        kinds.add("kBool")
    # A list or one of them everywhere, whichever the class happens to say.
    if field.name == "layers_pattern":
        kinds |= {"kString", "kStringList"}
    if field.name.endswith("_pattern") and "kObject" in kinds:
        kinds.discard("kObject")
        kinds.add("kBoolListObject" if (peft_type, field.name) == ("ADALORA", "rank_pattern")
                  else "kNumberObject")
    return kinds


def default_of(field):
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory()


def cpp_default(value) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None:
        return "null()"
    if isinstance(value, bool):
        return f"boolean({str(value).lower()})"
    if isinstance(value, int):
        return f"integer({value})"
    if isinstance(value, float):
        return f"real({value!r})"
    if isinstance(value, str):
        return f'text("{value}")'
    if value == []:
        return "list()"
    if value == {}:
        return "object()"
    raise SystemExit(f"a default this tool does not know: {value!r}")


def becomes_set(config_class, required: dict, name: str) -> bool:
    arguments = {**required, name: ["a", "b"]}
    if name == "feedforward_modules":
        arguments["target_modules"] = ["a", "b"]
    try:
        return isinstance(getattr(config_class(**arguments), name), set)
    except (TypeError, ValueError, AttributeError):
        return False


def rows(name: str, fields: list[tuple[str, set[str], str, bool]]) -> list[str]:
    lines = [f"constexpr FieldSchema {name}[] = {{"]
    for field_name, kinds, default, is_set in sorted(fields):
        mask = " | ".join(sorted(kinds))
        lines.append(f'    {{"{field_name}", {mask}, {default}, {str(is_set).lower()}}},')
    lines.append("};")
    return lines


def type_fields(peft_type: str, config_class) -> list:
    hints = typing.get_type_hints(config_class)
    fields = []
    for field in dataclasses.fields(config_class):
        if field.name in NOT_WRITTEN:
            continue
        kinds = field_kinds(peft_type, field, hints[field.name])
        default = default_of(field)
        if field.name == "peft_type":
            kinds, default = {"kString"}, peft_type
        if field.name == "peft_version":
            default = PINNED
        is_set = "kStringList" in kinds and becomes_set(
            config_class, REQUIRED.get(peft_type, {}), field.name)
        fields.append((field.name, kinds, cpp_default(default), is_set))
    return fields


def sub_configs() -> list[str]:
    """LoRA's nested configs: their fields are written in full too."""
    from peft.tuners.lora import config as lora

    owners = {
        "arrow_config": lora.ArrowConfig, "corda_config": lora.CordaConfig,
        "eva_config": lora.EvaConfig, "kasa_config": lora.KasaConfig,
        "lora_ga_config": lora.LoraGAConfig, "monteclora_config": lora.MontecloraConfig,
        "use_bdlora": lora.BdLoraConfig, "velora_config": lora.VeloraConfig,
    }
    lines = []
    for name, config_class in owners.items():
        hints = typing.get_type_hints(config_class)
        lines += rows(f"k_{name}", [
            (field.name, field_kinds("", field, hints[field.name]), cpp_default(default_of(field)),
             False) for field in dataclasses.fields(config_class)])
    lines.append("constexpr TypeSchema kSubConfigs[] = {")
    lines += [f'    {{"{name}", k_{name}}},' for name in owners]
    lines.append("};")
    return lines


def generate() -> str:
    warnings.simplefilter("ignore")
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.tuners.waveft.constants import WAVELET_REDUCTIONS
    from transformers.activations import ACT2FN

    # AdaMSS only asks whether scikit-learn is there; no config needs it.
    sys.modules.setdefault("sklearn", types.ModuleType("sklearn"))
    if peft.__version__ != PINNED:
        raise SystemExit(f"made for PEFT {PINNED}, found {peft.__version__}")
    lines = ["// SPDX-License-Identifier: Apache-2.0",
             f"// Made by tools/make_config_schema.py from PEFT {PINNED}. Do not edit.",
             "// clang-format off"]
    mapping = sorted((str(getattr(key, "value", key)), value)
                     for key, value in PEFT_TYPE_TO_CONFIG_MAPPING.items())
    for peft_type, config_class in mapping:
        lines += rows(f"k_{peft_type}", type_fields(peft_type, config_class))
    lines.append("constexpr TypeSchema kTypes[] = {")
    lines += [f'    {{"{peft_type}", k_{peft_type}}},' for peft_type, _ in mapping]
    lines.append("};")
    lines += sub_configs()
    for name, values in (("kTaskTypes", [task.value for task in peft.TaskType]),
                         ("kWaveletFamilies", WAVELET_REDUCTIONS), ("kActivations", ACT2FN.keys())):
        quoted = ", ".join(f'"{value}"' for value in sorted(values))
        lines.append(f"constexpr std::string_view {name}[] = {{{quoted}}};")
    lines.append(f'constexpr std::string_view kPeftVersion = "{PINNED}";')
    return "\n".join([*lines, "// clang-format on", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = generate()
    if not arguments.check:
        OUTPUT.write_text(text)
        return 0
    if OUTPUT.read_text() == text:
        return 0
    print(f"{OUTPUT.name} is not what PEFT {PINNED} says: run {pathlib.Path(__file__).name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
