#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/model/transformers_names_data.inc and module_layouts_data.inc from the installed transformers and PEFT: how
names in a checkpoint become the names of the live model, how PEFT renames an adapter's tensors at load, and what each
module of every class is, for every model class that transformers exports.

    python tools/make_transformers_names.py            write the files
    python tools/make_transformers_names.py --check    exit 1 if they differ from what would be written

A new release: raise PINNED, run it in an environment that has that release (the tests may need an older one), read the
diff. It stops at a conversion that it does not know. Models are built on the meta device, small: a minute, no memory.
"""

import argparse
import os
import pathlib
import re
import sys
import warnings

import transformers_configs

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

PINNED = "5.24.0"
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "src/model"
LAYERS = re.compile(r"^(num_hidden_layers|num_layers|n_layers?|(encoder|decoder)_layers|num_(encoder|decoder)_layers|"
                    r"num_decoder_layers|n_layer|depth)$")
PERIODS = re.compile(r"period|interval|freq|step|every|replace|pattern")
MAX_LAYERS = 12
# For configs whose defaults leave out what the model needs.
HINTS = {"head_dim": 64, "vocab_size": 1000, "prediction_length": 8, "num_key_value_heads": 4, "is_decoder": True,
         "hidden_size_per_layer_input": 0, "vocabulary_map": {"<image>": 3}, "dropout_rate": 0.0, "n_shared_experts": 1,
         "shared_expert_intermediate_size": 64, "rope_theta": 10000.0}
OPERATIONS = {"MergeModulelist": "m", "Concatenate": "c", "Chunk": "h", "Transpose": "t", "Interleave": "i",
              "PermuteForRope": "i"}
# Known, and their effect on shapes is not followed.
UNFOLLOWED = {"Split", "ErnieFuseAndSplitTextVisionExperts", "Inkling2LoopDequantizeExperts",
              "Inkling2LoopMergeMessageQueries", "Inkling2UnpadVocab"}
RENAMINGS = {"WeightRenaming": "r", "PrefixChange": "r", "GroupWeightRename": "g", "LayerPairCollapse": "l",
             "WeightConverter": "c"}
EXPERT_FAMILIES = ("mixtral", "qwen2_moe")  # The keys of PEFT's _MOE_TARGET_MODULE_MAPPING.


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
        name = type(operation).__name__
        if name not in OPERATIONS and name not in UNFOLLOWED:
            raise SystemExit(f"{name} is an operation that this tool does not know")
        letter = OPERATIONS.get(name)
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
    name = type(transform).__name__
    if name == "Inkling2IndexOffsetWeightRename":
        return f"o{transform.offset}"
    if name not in RENAMINGS:
        raise SystemExit(f"{name} is a renaming that this tool does not know")
    letter = RENAMINGS[name]
    # Where the text stays the same, what the class does is not in its patterns.
    source = re.sub(r"^\(\?P<g0>(.*)\)$", r"\1", transform.compiled_sources.pattern).replace(r"(?!\w)", "")
    captured = re.search(r"\([^?].*?\)", source)
    target = transform.target_patterns[0].replace(r"\1", captured[0] if captured else r"\1")
    if letter == "r" and target == source.replace("\\.", "."):
        raise SystemExit(f"{name}: {source} is renamed to itself")
    return letter


def quoted(text: str) -> str:
    assert ')"' not in text and "\n" not in text, text
    # With its length given: clang 14 counts the steps of finding it.
    return f'R"({text})"sv' if "\\" in text or '"' in text else f'"{text}"sv'


def adapter_converters(transforms):
    """What PEFT makes of the converters for an adapter's tensors; "default" is the adapter's name."""
    from peft.utils.transformers_weight_conversion import build_peft_weight_mapping
    from transformers.core_model_loading import WeightConverter

    import copy

    made = build_peft_weight_mapping(copy.deepcopy(transforms), "default", None)
    return [transform for transform in made if isinstance(transform, WeightConverter)]


def row_of(transform, letter: str, steps: str):
    listed = list(branches(transform))
    return (letter, transform.compiled_sources.pattern, "|".join(str(number) for number, _, _ in listed),
            "|".join(str(source) for _, source, _ in listed), "|".join(text for _, _, text in listed),
            "\t".join(transform.target_patterns), steps)


def rule_rows(mapping):
    """The rows of all rules, equal ones once, and for each identifier the numbers of its rows."""
    numbers, index = {}, []
    for identifier in sorted(mapping):
        rows = [row_of(t, kind(t), operations(t)) for t in mapping[identifier]]
        rows += [row_of(t, "p", "") for t in adapter_converters(mapping[identifier])]
        index.append((identifier, " ".join(str(numbers.setdefault(row, len(numbers))) for row in rows)))
    return list(numbers), index


def needed_layers(config, layers: int) -> int:
    """How many layers show every kind that the config has: by its lists of one entry a layer, and its periods."""
    needed = 2
    for key, value in vars(config).items():
        if isinstance(value, (list, tuple)) and len(value) == layers:
            seen = {str(entry): at for at, entry in reversed(list(enumerate(value)))}
            needed = max(needed, max(seen.values()) + 1)
        elif PERIODS.search(key) and isinstance(value, int) and value > 1:
            needed = max(needed, 2 * value)
    return min(needed, layers, MAX_LAYERS)


def shrink(config):
    for key, value in list(vars(config).items()):
        if LAYERS.match(key) and isinstance(value, int) and value > 2:
            try:
                setattr(config, key, needed_layers(config, value))
            except Exception:
                pass
        elif hasattr(value, "model_type") and hasattr(value, "to_dict"):
            shrink(value)


def give_hints(config):
    # Models of another library are not built.
    if getattr(getattr(config, "backbone_config", None), "model_type", "") == "timm_backbone":
        config.backbone_config = transformers_configs.resnet()
    for key, value in HINTS.items():
        if getattr(config, key, None) is None:
            try:
                setattr(config, key, value)
            except Exception:
                pass
    for value in list(vars(config).values()):
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            give_hints(value)


def build(cls):
    import torch
    from transformers.initialization import no_init_weights

    def complete(config):
        transformers_configs.complete(cls, config)

    for change in ([shrink], [], [give_hints, shrink], [give_hints], [shrink, complete], [give_hints, shrink, complete]):
        try:
            config = transformers_configs.config_of(cls)
            for step in change:
                step(config)
            with torch.device("meta"), no_init_weights():
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


def head_of(model) -> str:
    """The path of the output embeddings, which "all-linear" leaves out."""
    try:
        head = model.get_output_embeddings()
    except Exception:
        return ""
    return next((name for name, module in model.named_modules() if module is head), "") if head is not None else ""


def text_config(config):
    try:
        return config.get_text_config()
    except ValueError:  # There are several.
        return config.get_text_config(decoder=True)


def describe(cls, mapping, layouts):
    """The row of one class."""
    from transformers import PreTrainedModel

    model = build(cls)
    if model is None:  # Its default config builds nothing: what the class itself says.
        tied = cls._tied_weights_keys if isinstance(cls._tied_weights_keys, dict) else {}
        return (cls.__name__, cls.config_class.model_type, cls.base_model_prefix or "", "",
                "|".join(f"{target}={source}" for target, source in sorted(tied.items())),
                "\t".join(sorted(cls._keys_to_ignore_on_load_unexpected or [])), "", "", -1)
    parts = []
    for name, module in model.named_modules():
        if name and isinstance(module, PreTrainedModel):
            key = config_key(model.config, module.config)
            kinds = type(module).__name__ in mapping or module.config.model_type in mapping
            if kinds or key not in ("", "?"):
                parts.append(f"{name}:{type(module).__name__}:{module.config.model_type}:{key}")
    ties = getattr(text_config(model.config), "tie_word_embeddings", True) is not False
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
            "\t".join(sorted(ignored)), "ties" if tied and ties else "", head_of(model), layouts.add(model))


def plain_classes() -> set[str]:
    """Classes without a head, as AutoModel makes them."""
    from transformers.models.auto import modeling_auto

    return {value if isinstance(value, str) else value[0] for value in modeling_auto.MODEL_MAPPING_NAMES.values()}


def classes():
    import inspect

    import transformers
    from transformers.models.auto import modeling_auto

    names = {name for name in dir(transformers) if name[0].isupper()}
    for attribute in dir(modeling_auto):
        if attribute.startswith("MODEL") and attribute.endswith("MAPPING_NAMES"):
            for value in getattr(modeling_auto, attribute).values():
                names.update(value if isinstance(value, (tuple, list)) else [value])
    for name in sorted(names):
        try:
            cls = getattr(transformers, name)
            if (inspect.isclass(cls) and issubclass(cls, transformers.PreTrainedModel) and cls.config_class is not None
                    and not name.endswith("PreTrainedModel")):
                yield cls
        except Exception:
            continue


def table(name: str, type_name: str, rows) -> list[str]:
    lines = [f"constexpr {type_name} {name}[] = {{"]
    lines += ["    {" + ", ".join(str(f) if isinstance(f, int) else quoted(f) for f in row) + "}," for row in rows]
    return lines + ["};"]


def packed(texts) -> list[str]:
    """Several to a line."""
    lines = [""]
    for text in texts:
        if lines[-1] and len(lines[-1]) + len(text) > 150:
            lines.append("")
        lines[-1] += quoted(text) + ","
    return lines


def families():
    """(model_type, family) of the models whose experts PEFT's config conversion knows."""
    from peft.utils.transformers_weight_conversion import _MODEL_TO_CONVERSION_PATTERN as known

    return sorted((key, value) for key, value in known.items() if value in EXPERT_FAMILIES)


def generate() -> dict[str, str]:
    """The text of each file."""
    import transformers
    from transformers import conversion_mapping
    from transformers.models.auto import modeling_auto

    from transformers_layouts import Layouts

    transformers.logging.set_verbosity_error()
    transformers_configs.without_other_libraries()
    if transformers.__version__ != PINNED:
        raise SystemExit(f"this tool is for transformers {PINNED}, {transformers.__version__} is installed")
    mapping = conversion_mapping._build_checkpoint_conversion_mapping()
    rules, index = rule_rows(mapping)
    rows, failed, layouts = [], [], Layouts()
    for cls in classes():
        try:
            row = describe(cls, mapping, layouts)
        except Exception as error:
            row = None
            print(cls.__name__, repr(error)[:100], file=sys.stderr)
        if row is None or row[-1] < 0:
            failed.append(cls.__name__)
        if row is not None:
            rows.append(row)
    print(f"{len(rows)} classes; not built: {', '.join(failed) or 'none'}", file=sys.stderr)
    bases = sorted((key, value if isinstance(value, str) else value[0])
                   for key, value in modeling_auto.MODEL_MAPPING_NAMES.items())
    head = ["// SPDX-License-Identifier: Apache-2.0",
            f"// Made by tools/make_transformers_names.py from transformers {PINNED}. Do not edit.", "// clang-format off"]
    names = head + [f'constexpr std::string_view kTransformersVersion = "{PINNED}"sv;']
    names += table("kRules", "NameRule", rules) + table("kRuleSets", "RuleSet", index)
    names += table("kClasses", "ModelClass", rows) + table("kBaseClasses", "BaseClass", bases)
    names += table("kExpertFamilies", "BaseClass", families()) + ["// clang-format on", ""]
    kinds = head + ["constexpr std::string_view kLayoutNodes[] = {", *packed(layouts.nodes), "};", "// clang-format on", ""]
    return {"transformers_names_data.inc": "\n".join(names), "module_layouts_data.inc": "\n".join(kinds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    for name, text in generate().items():
        if not arguments.check:
            (FOLDER / name).write_text(text)
        elif (FOLDER / name).read_text() != text:
            raise SystemExit(f"{name} differs from what transformers {PINNED} gives")


if __name__ == "__main__":
    main()
