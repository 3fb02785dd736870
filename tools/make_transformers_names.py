#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/model/transformers_names_data.inc from the installed transformers: how names in a checkpoint become the names
of the live model, for every class that an AutoModel makes.

    python tools/make_transformers_names.py            write the file
    python tools/make_transformers_names.py --check    exit 1 if it differs from what would be written

A new release: raise PINNED, run it, read the diff. Models are built on the meta device, small: minutes, no memory.
"""

import argparse
import os
import pathlib
import re
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

PINNED = "5.23"
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/model/transformers_names_data.inc"
LAYERS = re.compile(r"^(num_hidden_layers|num_layers|n_layers?|(encoder|decoder)_layers|num_(encoder|decoder)_layers|"
                    r"num_decoder_layers|n_layer|depth)$")
OPERATIONS = {"MergeModulelist": "m", "Concatenate": "c", "Chunk": "h", "Transpose": "t", "Interleave": "i",
              "PermuteForRope": "i"}


def literal(pattern: str) -> str:
    """The longest text that every match of the expression contains; empty where none is certain."""
    import re._parser as parser

    best = run = ""
    for op, argument in parser.parse(pattern):
        if str(op) == "LITERAL":
            run += chr(argument)
            best = max(best, run, key=len)
        else:
            run = ""
    return best


def operations(transform) -> str:
    """One letter an operation, with its dimensions: "m0c1"; "?" where the shape is not followed."""
    text = ""
    for operation in getattr(transform, "operations", []):
        letter = OPERATIONS.get(type(operation).__name__)
        if letter is None:
            return "?"
        if letter == "t":
            text += f"t{operation.dim0}{operation.dim1}"
        elif letter == "i":
            text += "i"
        else:
            text += f"{letter}{operation.dim}"
    return text


def branches(transform):
    """(number of the branch's group, source, literal) in the order of the compiled expression."""
    regex = transform.compiled_sources
    for name, number in sorted(regex.groupindex.items(), key=lambda item: item[1]):
        source = int(name[1:])
        pattern = transform.source_patterns[source].replace("*.", r".*\.")
        yield number, source, literal(pattern)


def kind(transform) -> str:
    return {"GroupWeightRename": "g", "Inkling2IndexOffsetWeightRename": f"o{getattr(transform, 'offset', 0)}",
            "WeightConverter": "c"}.get(type(transform).__name__, "r")


def quoted(text: str) -> str:
    assert ')"' not in text and "\n" not in text, text
    # With its length given: clang 14 counts the steps of finding it.
    return f'R"({text})"sv' if "\\" in text or '"' in text else f'"{text}"sv'


def rule_rows(mapping):
    rows, index = [], []
    seen = {}
    for identifier in sorted(mapping):
        key = tuple((kind(t), t.compiled_sources.pattern, tuple(t.target_patterns), operations(t)) for t in mapping[identifier])
        if key not in seen:
            seen[key] = (len(rows), len(key))
            for transform in mapping[identifier]:
                listed = list(branches(transform))
                rows.append((kind(transform), transform.compiled_sources.pattern,
                             "|".join(str(number) for number, _, _ in listed),
                             "|".join(str(source) for _, source, _ in listed),
                             "|".join(text for _, _, text in listed),
                             "\t".join(transform.target_patterns), operations(transform)))
        index.append((identifier, *seen[key]))
    return rows, index


def shrink(config):
    for key, value in list(vars(config).items()):
        if LAYERS.match(key) and isinstance(value, int) and value > 2:
            try:
                setattr(config, key, 2)
            except Exception:
                pass
        elif hasattr(value, "model_type") and hasattr(value, "to_dict"):
            shrink(value)


def build(cls):
    import torch

    for small in (True, False):
        config = cls.config_class()
        if small:
            shrink(config)
        try:
            with torch.device("meta"):
                return cls(config)
        except Exception:
            continue
    return None


def config_key(root, config) -> str:
    """The path of the sub-config in the root config: "", "text_config"; "?" where it is not found."""
    if config is root:
        return ""
    for key, value in vars(root).items():
        if value is config:
            return key
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            for inner, deeper in vars(value).items():
                if deeper is config:
                    return f"{key}.{inner}"
    return "?"


def describe(cls, mapping):
    """The row of one class."""
    import torch
    from transformers import PreTrainedModel
    from transformers.pytorch_utils import Conv1D

    model = build(cls)
    if model is None:  # Its default config builds nothing: what the class itself says.
        tied = cls._tied_weights_keys if isinstance(cls._tied_weights_keys, dict) else {}
        return (cls.__name__, cls.config_class.model_type, cls.base_model_prefix or "", "",
                "|".join(f"{target}={source}" for target, source in sorted(tied.items())),
                "\t".join(sorted(cls._keys_to_ignore_on_load_unexpected or [])), "", "", "", "")
    parts, conv1d, embeddings, transposed = [], set(), set(), set()
    for name, module in model.named_modules():
        leaf = name.rsplit(".", 1)[-1]
        if isinstance(module, Conv1D):
            conv1d.add(leaf)
        elif isinstance(module, torch.nn.Embedding):
            embeddings.add(leaf)
        if getattr(module, "is_transposed", False):
            transposed.add(leaf)
        if name and isinstance(module, PreTrainedModel):
            key = config_key(model.config, module.config)
            kinds = type(module).__name__ in mapping or module.config.model_type in mapping
            if kinds or key not in ("", "?"):
                parts.append(f"{name}:{type(module).__name__}:{module.config.model_type}:{key}")
    ties = getattr(model.config.get_text_config(), "tie_word_embeddings", True) is not False
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    if not ties or not tied:
        tied = cls._tied_weights_keys if isinstance(cls._tied_weights_keys, dict) else {}
    # A class with a head may name a prefix that it has no model under (T5's "transformer").
    prefix = cls.base_model_prefix or ""
    if prefix and not hasattr(model, prefix) and cls.__name__ not in plain_classes():
        prefix = ""
    ignored = list(cls._keys_to_ignore_on_load_unexpected or [])
    return (cls.__name__, cls.config_class.model_type, prefix, "|".join(parts),
            "|".join(f"{target}={source}" for target, source in sorted(tied.items())),
            "\t".join(sorted(ignored)), "|".join(sorted(conv1d)), "|".join(sorted(embeddings)),
            "|".join(sorted(transposed)), "ties" if tied and ties else "")


def plain_classes() -> set[str]:
    """Classes without a head, as AutoModel makes them."""
    from transformers.models.auto import modeling_auto

    return {value if isinstance(value, str) else value[0] for value in modeling_auto.MODEL_MAPPING_NAMES.values()}


def classes():
    import transformers
    from transformers.models.auto import modeling_auto

    names = set()
    for attribute in dir(modeling_auto):
        if attribute.startswith("MODEL") and attribute.endswith("MAPPING_NAMES"):
            for value in getattr(modeling_auto, attribute).values():
                names.update(value if isinstance(value, (tuple, list)) else [value])
    for name in sorted(names):
        try:
            yield getattr(transformers, name)
        except Exception:
            continue


def generate() -> str:
    import transformers
    from transformers import conversion_mapping
    from transformers.models.auto import modeling_auto

    transformers.logging.set_verbosity_error()
    if not transformers.__version__.startswith(PINNED):
        raise SystemExit(f"this tool is for transformers {PINNED}, {transformers.__version__} is installed")
    mapping = conversion_mapping._build_checkpoint_conversion_mapping()
    rules, index = rule_rows(mapping)
    rows, failed = [], []
    for cls in classes():
        try:
            row = describe(cls, mapping)
        except Exception as error:
            row = None
            print(cls.__name__, repr(error)[:100], file=sys.stderr)
        if row is None:
            failed.append(cls.__name__)
        elif any(row[2:]) :
            rows.append(row)
    print(f"{len(rows)} classes; not described: {', '.join(failed) or 'none'}", file=sys.stderr)
    bases = sorted((key, value if isinstance(value, str) else value[0])
                   for key, value in modeling_auto.MODEL_MAPPING_NAMES.items())
    out = ["// SPDX-License-Identifier: Apache-2.0",
           f"// Made by tools/make_transformers_names.py from transformers {PINNED}. Do not edit.",
           "// clang-format off", "constexpr NameRule kRules[] = {"]
    out += ["    {" + ", ".join(quoted(field) for field in row) + "}," for row in rules]
    out += ["};", "constexpr RuleSet kRuleSets[] = {"]
    out += [f"    {{{quoted(name)}, {first}, {count}}}," for name, first, count in index]
    out += ["};", "constexpr ModelClass kClasses[] = {"]
    out += ["    {" + ", ".join(quoted(field) for field in row) + "}," for row in rows]
    out += ["};", "constexpr BaseClass kBaseClasses[] = {"]
    out += [f"    {{{quoted(key)}, {quoted(value)}}}," for key, value in bases]
    out += ["};", "// clang-format on", ""]
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = generate()
    if not arguments.check:
        OUTPUT.write_text(text)
    elif OUTPUT.read_text() != text:
        raise SystemExit(f"{OUTPUT} differs from what transformers {PINNED} gives")


if __name__ == "__main__":
    main()
