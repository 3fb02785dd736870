# SPDX-License-Identifier: Apache-2.0
"""Trains, saves and loads adapters in C++ and in PEFT, and compares.

    differential.py DRIVER [--device cuda] [PART OF A CASE'S NAME]

For each case, both ways: the same seed makes the same adapter; PEFT loads what C++ saved and gives the same logits
and gradients; merging and unmerging leave the same weights; C++ loads what PEFT saved and gives the same logits.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
import torch  # noqa: E402

if "cuda" in sys.argv and not torch.cuda.is_available():
    print("NOT RUN: torch finds no GPU")
    sys.exit(0)
import huggingface_hub  # noqa: E402
import peft  # noqa: E402
import transformers  # noqa: E402
from net import Net  # noqa: E402
from peft.tuners.loha import layer as loha_layer  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

torch.set_num_threads(1)


def rebuild_both(t1, w1a, w1b, t2, w2a, w2b, scale):
    """LoHa's kernels with autograd's gradients: PEFT's own backward takes those of w1_a with the other half's factors
    (docs/differences.md)."""
    first = torch.einsum("i j k l, j r, i p -> p r k l", t1, w1b, w1a)
    return first * torch.einsum("i j k l, j r, i p -> p r k l", t2, w2b, w2a) * scale


loha_layer.make_weight_cp = rebuild_both
TOLERANCE = 1e-6
# Of what is the same to the bit on CPUs; kernels of GPUs may be chosen anew in each process.
EXACT = 0.0
DEVICE = torch.device("cpu")
# Two units in the last place of a bfloat16 of the logits' size.
HALF_TOLERANCE = 3.2e-2
LINEAR = ["q_proj", "v_proj"]
CONV = ["conv1", "conv2", "point"]
ALL = [*LINEAR, *CONV, "embed"]


def lora(**fields):
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": LINEAR, **fields})


def loha(**fields):
    return peft.LoHaConfig(**{"r": 3, "alpha": 5, "target_modules": [*LINEAR, *CONV], **fields})


def lokr(**fields):
    return peft.LoKrConfig(**{"r": 2, "alpha": 5, "target_modules": [*LINEAR, *CONV], **fields})


def ia3(**fields):
    return peft.IA3Config(**{"target_modules": [*LINEAR, "conv2", "point"], "feedforward_modules": ["v_proj"],
                             **fields})


def oft(**fields):
    return peft.OFTConfig(**{"r": 0, "oft_block_size": 4, "target_modules": [*LINEAR, "point", "embed"], **fields})


def vera(**fields):
    return peft.VeraConfig(**{"r": 3, "target_modules": LINEAR, **fields})


def tokens(**fields):
    return peft.TrainableTokensConfig(**{"target_modules": ["embed"], "token_indices": [1, 4, 7], **fields})


# name: (configs of its adapters, settings).
CASES = {
    "lora": ([lora(target_modules=ALL)], {}),
    "lora_grouped": ([lora(target_modules=["grouped", "q_proj"])], {"merges": False}),
    "lora_gaussian": ([lora(target_modules=ALL, init_lora_weights="gaussian")], {}),
    "lora_random": ([lora(target_modules=ALL, init_lora_weights=False)], {}),
    "lora_orthogonal": ([lora(init_lora_weights="orthogonal", target_modules=[*LINEAR, "embed"])], {}),
    "lora_rslora_patterns": ([lora(use_rslora=True, r=5, rank_pattern={"layers.0.q_proj": 3, "v_proj": 2},
                                   alpha_pattern={r"layers\.\d\.v_proj": 7})], {}),
    "lora_bias": ([lora(lora_bias=True, target_modules=["v_proj", "conv1", "conv2"])], {}),
    "lora_bias_all": ([lora(bias="all", target_modules=ALL)], {}),
    "lora_bias_only": ([lora(bias="lora_only", target_modules=ALL)], {}),
    "lora_dropout": ([lora(lora_dropout=0.3, target_modules=ALL)], {}),
    "lora_bias_all_saved": ([lora(bias="all", modules_to_save=["norm", "head"])], {}),
    "lora_sgd": ([lora(target_modules=ALL)], {"way": "sgd"}),
    "dora_data": ([lora(use_dora=True)], {"way": "data"}),
    "lora_saved_sgd": ([lora(modules_to_save=["norm"])], {"way": "sgd"}),
    "loha_data": ([loha()], {"way": "data"}),
    "lokr_set_data": ([lokr()], {"way": "set_data"}),
    "ia3_set_data": ([ia3()], {"way": "set_data"}),
    "lora_shared": ([lora(target_modules=ALL)], {"net": "shared"}),
    "lora_tied": ([lora(target_modules=["embed", "q_proj"])], {"net": "tied"}),
    "lora_tied_head": ([lora(target_modules=["head", "v_proj"], lora_bias=True)], {"net": "tied"}),
    "dora_tied_two": ([lora(use_dora=True, target_modules=["embed"]), lora(target_modules=["embed", "v_proj"])],
                      {"net": "tied"}),
    "lora_modules_to_save": ([lora(modules_to_save=["head", "norm"])], {}),
    "lora_regex": ([lora(target_modules=r"layers\.1\..*_proj|embed")], {}),
    "lora_layers": ([lora(target_modules=["q_proj", "embed"], layers_to_transform=[1], layers_pattern="layers")], {}),
    "lora_all_linear": ([lora(target_modules="all-linear", exclude_modules=["head"])], {}),
    "lora_two": ([lora(target_modules=["q_proj", "conv2", "embed"]), lora(r=2, lora_alpha=9, use_rslora=True)], {}),
    "dora": ([lora(use_dora=True, target_modules=ALL)], {}),
    "dora_dropout": ([lora(use_dora=True, lora_dropout=0.2, target_modules=ALL)], {}),
    "dora_two": ([lora(use_dora=True, target_modules=ALL), lora(r=2, use_dora=True, target_modules=["q_proj", "embed", "conv1"])], {}),
    "dora_and_lora": ([lora(target_modules=ALL), lora(r=2, use_dora=True, target_modules=ALL)], {}),
    "pissa": ([lora(init_lora_weights="pissa")], {}),
    "pissa_niter": ([lora(init_lora_weights="pissa_niter_4", use_dora=True)], {}),
    "olora": ([lora(init_lora_weights="olora")], {}),
    "ia3": ([ia3()], {}),
    "ia3_forward": ([ia3(feedforward_modules=["conv2", "q_proj", "grouped"],
                         target_modules=["conv2", "q_proj", "grouped", "v_proj"])], {}),
    "ia3_random": ([ia3(init_ia3_weights=False, modules_to_save=["head"])], {}),
    "ia3_two": ([ia3(), ia3(target_modules=["q_proj", "v_proj"])], {}),
    "loha": ([loha()], {}),
    "loha_effective": ([loha(use_effective_conv2d=True, rank_pattern={"q_proj": 5})], {}),
    "loha_random": ([loha(init_weights=False, use_effective_conv2d=True)], {}),
    "loha_dropout": ([loha(rank_dropout=0.4, module_dropout=0.3)], {}),
    "loha_grouped": ([loha(target_modules=["grouped"])], {}),
    "lokr": ([lokr()], {}),
    "lokr_both": ([lokr(decompose_both=True, decompose_factor=4, r=1)], {}),
    "lokr_effective": ([lokr(use_effective_conv2d=True, decompose_factor=2)], {}),
    "lokr_whole": ([lokr(r=16)], {}),
    "lokr_lycoris": ([lokr(init_weights="lycoris", use_effective_conv2d=True, decompose_factor=2)], {}),
    "lokr_random": ([lokr(init_weights=False, modules_to_save=["norm"])], {}),
    "lokr_dropout": ([lokr(rank_dropout=0.4, rank_dropout_scale=True)], {}),
    "oft": ([oft()], {}),
    "oft_coft": ([oft(coft=True, eps=1e-2, use_cayley_neumann=False, module_dropout=0.5)], {}),
    "oft_shared": ([oft(r=5, oft_block_size=0, block_share=True, num_cayley_neumann_terms=3)], {}),
    "oft_random": ([oft(init_weights=False, bias="oft_only", modules_to_save=["norm"])], {}),
    "oft_grouped": ([oft(target_modules=["grouped", "q_proj"])], {"merges": False}),
    "oft_two": ([oft(), oft(oft_block_size=3, target_modules=["q_proj", "embed", "head"])], {}),
    "oft_bf16": ([oft()], {"dtype": "BF16"}),
    "vera": ([vera()], {}),
    "vera_seed": ([vera(projection_prng_key=7, init_weights=False, save_projection=False)], {}),
    "vera_dropout": ([vera(vera_dropout=0.3, bias="all")], {}),
    "vera_two": ([vera(), vera(vera_dropout=0.1)], {}),
    "vera_bf16": ([vera()], {"dtype": "BF16"}),
    "tokens": ([tokens()], {}),
    "tokens_random": ([tokens(init_weights=False)], {}),
    "tokens_two": ([tokens(), tokens(token_indices=[2, 9])], {}),
    "tokens_bf16": ([tokens()], {"dtype": "BF16"}),
    "lora_tokens": ([lora(trainable_token_indices={"embed": [0, 3]})], {"way": "sgd"}),
    "lora_saved_tokens": ([lora(target_modules=["conv2"], modules_to_save=["norm"],
                               trainable_token_indices={"embed": [5]})], {}),
    "lora_scaled": ([lora(target_modules=ALL, rank_pattern={"q_proj": 2}), lora(use_rslora=True)], {"scale": 0.3}),
    "loha_scaled": ([loha()], {"scale": -2.0}),
    "sum_cat": ([lora(target_modules=ALL), lora(r=2, lora_alpha=3, target_modules=["q_proj", "embed"])],
                {"sum": "cat"}),
    "sum_linear": ([lora(target_modules=ALL), lora(lora_alpha=9)], {"sum": "linear"}),
    "sum_svd": ([lora(target_modules=[*LINEAR, "conv2", "point", "embed"]),
                 lora(r=3, lora_alpha=3, target_modules=["q_proj", "embed", "conv2"])],
                {"sum": "svd"}),
    "lora_bf16": ([lora(target_modules=ALL)], {"dtype": "BF16"}),
    "lora_f64": ([lora(target_modules=ALL)], {"dtype": "F64"}),
    "dora_bf16": ([lora(use_dora=True, target_modules=ALL)], {"dtype": "BF16"}),
    "loha_bf16": ([loha()], {"dtype": "BF16"}),
    "ia3_bf16": ([ia3()], {"dtype": "BF16"}),
}
DTYPES = {"BF16": torch.bfloat16, "F64": torch.float64}


class Comparison:
    def __init__(self):
        self.failures, self.checked, self.worst = [], 0, {}

    def same(self, case: str, what: str, ours, theirs, tolerance: float = 0.0):
        self.checked += 1
        if ours is None or theirs is None or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            describe = lambda t: None if t is None else (tuple(t.shape), t.dtype)  # noqa: E731
            self.failures.append(f"{case}: {what}: ours {describe(ours)}, PEFT's {describe(theirs)}")
            return
        difference = (ours.double().cpu() - theirs.double().cpu()).abs().max().item() if ours.numel() else 0.0
        kind = what.split(" ")[0] + (" (half)" if case.endswith("bf16") else "")
        self.worst[kind] = max(self.worst.get(kind, (0.0, "")), (difference, case))
        if not difference <= tolerance:
            self.failures.append(f"{case}: {what}: differs by {difference:.3g}")

    def say(self, text: str):
        self.failures.append(text)


def fresh(base: dict, settings: dict):
    net = Net(settings.get("net", ""))
    net.load_state_dict(base)
    return net.to(DEVICE, DTYPES.get(settings.get("dtype"), torch.float32))


def names_of(configs) -> list[str]:
    return ["default", "second"][: len(configs)]


def build(base, configs, settings):
    """The PEFT model with new adapters, as the driver makes it."""
    net = fresh(base, settings)
    torch.manual_seed(5)
    model = peft.get_peft_model(net, configs[0])
    for name, config in list(zip(names_of(configs), configs))[1:]:
        model.add_adapter(name, config)
    return model


def activate(model, configs):
    model.base_model.set_adapter(names_of(configs))
    model.train()


def run(model, words):
    torch.manual_seed(7)
    logits = model(words)
    logits.float().square().mean().backward()
    return logits.detach()


def parameters(model) -> dict:
    named = model.base_model.model.named_parameters(remove_duplicate=False)
    return {name: p.detach().clone() for name, p in named}


def compare_parameters(comparison, case, kind, ours: dict, theirs: dict, tolerance: float):
    mine = {name[len(kind) + 1:]: tensor for name, tensor in ours.items() if name.startswith(kind + ".")}
    if set(mine) != set(theirs):
        comparison.say(f"{case}: {kind}: only ours {sorted(set(mine) - set(theirs))[:4]}, "
                       f"only PEFT's {sorted(set(theirs) - set(mine))[:4]}")
    for name in mine.keys() & theirs.keys():
        comparison.same(case, f"{kind} {name}", mine[name], theirs[name], tolerance)


def check_trained(comparison, case, configs, settings, base, words, folder):
    ours = load_file(os.path.join(folder, case + ".trained"))
    built = build(base, configs, settings)
    compare_parameters(comparison, case, "init", ours, parameters(built), EXACT)
    saved = os.path.join(folder, case + ".ours")
    net = fresh(base, settings)
    if "init_lora_weights" in vars(configs[0]) and str(configs[0].init_lora_weights).startswith("pissa_niter"):
        torch.manual_seed(5)  # PEFT draws again when it loads.
    model = peft.PeftModel.from_pretrained(net, saved, is_trainable=True)
    for name in names_of(configs)[1:]:
        model.load_adapter(os.path.join(saved, name), adapter_name=name, is_trainable=True)
    activate(model, configs)
    loose = HALF_TOLERANCE if settings.get("dtype") == "BF16" else TOLERANCE
    comparison.same(case, "logits", ours["logits"], run(model, words), loose)
    named = model.base_model.model.named_parameters(remove_duplicate=False)
    gradients = {name: p.grad for name, p in named if p.grad is not None}
    compare_parameters(comparison, case, "grad", ours, gradients, loose)
    with torch.no_grad():
        model.base_model.disable_adapter_layers()
        torch.manual_seed(7)
        comparison.same(case, "disabled", ours["disabled"], model(words), loose)
        model.base_model.enable_adapter_layers()
        if settings.get("net") == "tied":
            check_tied(comparison, case, ours, model, words)
        elif settings.get("merges", True):
            model.base_model.merge_adapter()
            compare_parameters(comparison, case, "merged", ours, parameters(model), EXACT)
            comparison.same(case, "merged_logits", ours["merged_logits"], model(words), loose)
            model.base_model.unmerge_adapter()
            compare_parameters(comparison, case, "unmerged", ours, parameters(model), EXACT)
            model.base_model.merge_adapter(safe_merge=True)
            compare_parameters(comparison, case, "safe", ours, parameters(model), EXACT)
            model.base_model.unmerge_adapter()
        if settings.get("net") != "tied":
            check_edited(comparison, case, ours, model, settings, names_of(configs), words, loose)


def check_tied(comparison, case, ours, model, words):
    """PEFT's merge changes the other side of a tied weight, and warns of it when the adapter is made. Here the merged
    model answers as the adapted one, and unmerging ties the weights again."""
    before = parameters(model)
    torch.manual_seed(7)
    comparison.same(case, "merged_logits", ours["merged_logits"], model(words), TOLERANCE)
    model.base_model.merge_adapter()
    if torch.allclose(model(words).cpu(), ours["merged_logits"], atol=1e-3):
        comparison.say(f"{case}: PEFT's merge of a tied weight has become right")
    changed = [name for name in before if "base_layer.weight" in name]
    for name in before:
        tied = name in ("head.weight", "embed.weight", "head.base_layer.weight", "embed.base_layer.weight")
        # Other weights are unmerged by subtraction, which rounds.
        comparison.same(case, f"unmerged {name}", ours["unmerged." + name], before[name], EXACT if tied else TOLERANCE)
    if not any(not torch.equal(ours["merged." + name], before[name].cpu()) for name in changed):
        comparison.say(f"{case}: nothing was merged")
    other = "head" if "embed.base_layer.weight" in before else "embed"
    comparison.same(case, "merged other side", ours[f"merged.{other}.weight"], before[f"{other}.weight"], EXACT)


def check_targets(comparison, driver, folder):
    """Which modules `all-linear` takes, and what of a config matches nothing, on a model of transformers."""
    tiny = transformers.LlamaConfig(vocab_size=8, hidden_size=4, intermediate_size=4, num_hidden_layers=2,
                                    num_attention_heads=1, num_key_value_heads=1)
    fields = [{"target_modules": "all-linear"}, {"target_modules": "all-linear", "task_type": "CAUSAL_LM"},
              {"target_modules": ["q_proj"], "rank_pattern": {"layers.0.q_proj": 2, "k_proj": 3, "layers.9.q_proj": 2},
               "alpha_pattern": {"^nothing": 4, r"layers\.\d+\.self_attn\.q_proj": 3}, "r": 2},
              {"target_modules": ["q_proj"], "exclude_modules": ["o_pro"]},
              {"target_modules": ["q_proj"], "exclude_modules": ".*nothing"},
              {"target_modules": ["q_proj"], "exclude_modules": r"model\.layers\.1\..*"}]
    cases, expected = [], []
    for one in fields:
        model = transformers.LlamaForCausalLM(tiny)
        linears = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
        config = peft.LoraConfig(**one)
        cases.append({"config": json.dumps({"peft_type": "LORA", **one}), "linears": linears})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tuner = peft.get_peft_model(model, config).base_model
        texts = " ".join(str(one.message) for one in caught)
        unmatched = re.findall(r"did not match any targeted module and were ignored: \[(.*?)\]", texts)
        words = [word for found in unmatched for word in re.findall(r"'(.*?)'", found)]
        if "no modules were excluded" in texts:
            excluded = config.exclude_modules
            words += [excluded] if isinstance(excluded, str) else excluded
        expected.append((tuner.targeted_module_names, sorted(words)))
    lines = drive(driver, folder, "targets", cases).splitlines()
    for one, line, (modules, words) in zip(fields, lines, expected, strict=True):
        ours = json.loads(line)
        comparison.checked += 1
        if sorted(ours["modules"]) != sorted(modules):
            comparison.say(f"targets of {one}: ours {ours['modules']}, PEFT's {sorted(modules)}")
        reported = sorted(re.search(r': "(.*?)" matches no module', text)[1] for text in ours["findings"])
        if reported != sorted(words):
            comparison.say(f"unmatched of {one}: ours {reported}, PEFT's {words}")


def check_edited(comparison, case, ours, model, settings, names, words, loose):
    """The sum of the adapters, the model without the first of them, and the plain model."""
    if settings.get("sum"):
        model.add_weighted_adapter(names, [0.75, -0.5], "sum", combination_type=settings["sum"])
        model.set_adapter("sum")
        # PEFT's forward takes the order of matrix products from the ranks; its svd has the signs of one library.
        comparison.same(case, "sum_logits", ours["sum_logits"], model(words), 1e-5)
        if settings["sum"] != "svd":
            compare_parameters(comparison, case, "sum", ours, parameters(model), TOLERANCE)
        model.delete_adapter("sum")
        model.base_model.set_adapter(names)
    if len(names) == 2:
        model.delete_adapter(names[0])
        torch.manual_seed(7)
        comparison.same(case, "deleted_logits", ours["deleted_logits"], model(words), loose)
        # PEFT keeps layers without an adapter wrapped; here they are plain again.
        plain = {name.replace(".base_layer.", ".") if not wraps(model, name) else name: tensor
                 for name, tensor in parameters(model).items()}
        compare_parameters(comparison, case, "deleted", ours, plain, EXACT)
    if settings.get("merges", True):
        base = model.merge_and_unload()
        named = base.named_parameters(remove_duplicate=False)
        compare_parameters(comparison, case, "unloaded", ours, {name: p.detach() for name, p in named}, EXACT)
        comparison.same(case, "unloaded_logits", ours["unloaded_logits"], base(words), loose)


def wraps(model, name):
    """Whether the layer of a base parameter carries an adapter still."""
    if ".base_layer." not in name:
        return True
    layer = model.base_model.model.get_submodule(name[: name.index(".base_layer.")])
    return bool(layer._get_available_adapters())


def save_theirs(case, configs, settings, base, words, folder):
    """An adapter of PEFT's own, and what it answers."""
    model = build(base, configs, settings)
    activate(model, configs)
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_((torch.randn(parameter.shape) * 0.2).to(parameter.device))
    model.save_pretrained(os.path.join(folder, case + ".theirs"))
    return run(model, words), parameters(model), len(peft.get_peft_model_state_dict(model))


def drive(driver, folder, mode, cases):
    job = {"folder": folder, "base": os.path.join(folder, "base"), "mode": mode, "cases": cases, "device": str(DEVICE)}
    path = os.path.join(folder, mode + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(job, file)
    done = subprocess.run([driver, path], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the driver failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return done.stdout


def config_text(config) -> str:
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
            return file.read()


def use_device(name: str):
    global DEVICE, EXACT, TOLERANCE
    DEVICE = torch.device(name)
    if DEVICE.type != "cpu":
        EXACT, TOLERANCE = 1e-6, 1e-5
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True


def main(driver: str, only: str, device: str) -> int:
    use_device(device)
    comparison = Comparison()
    cases = {name: case for name, case in CASES.items() if only in name}
    torch.manual_seed(1)
    net = Net()
    words = torch.randint(0, 10, (3, 6)).to(DEVICE)
    base = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        save_file({"words": words.cpu()}, os.path.join(folder, "words"))
        os.mkdir(os.path.join(folder, "base"))
        huggingface_hub.save_torch_state_dict(base, os.path.join(folder, "base"), max_shard_size="4KB")
        if len(os.listdir(os.path.join(folder, "base"))) < 4:
            comparison.say("the base is not in shards")
        listed = [{"name": name, "dtype": settings.get("dtype", "F32"), "merges": settings.get("merges", True),
                   "net": settings.get("net", ""), "way": settings.get("way", ""),
                   "scale": settings.get("scale"), "sum": settings.get("sum", ""),
                   "adapters": [{"name": adapter, "config": config_text(config)}
                                for adapter, config in zip(names_of(configs), configs)]}
                  for name, (configs, settings) in cases.items()]
        drive(driver, folder, "train", listed)
        theirs = {}
        for name, (configs, settings) in cases.items():
            check_trained(comparison, name, configs, settings, base, words, folder)
            theirs[name] = save_theirs(name, configs, settings, base, words, folder)
        drive(driver, folder, "load", listed)
        for name, (configs, settings) in cases.items():
            logits, live, count = theirs[name]
            ours = load_file(os.path.join(folder, name + ".loaded"))
            loose = HALF_TOLERANCE if settings.get("dtype") == "BF16" else TOLERANCE
            comparison.same(name, "loaded_logits", ours["logits"], logits, loose)
            if int(ours["tensors.default"].item()) != count:
                comparison.say(f"{name}: loaded {ours['tensors.default'].item()} of {count} tensors")
        if not only:
            check_targets(comparison, driver, folder)
    for kind, (difference, case) in sorted(comparison.worst.items()):
        print(f"{kind:20} worst {difference:.3g} ({case})")
    for failure in comparison.failures[:60]:
        print("FAILED", failure)
    print(f"torch, {DEVICE}: {len(cases)} cases, {comparison.checked} checked, {len(comparison.failures)} differ")
    return 1 if comparison.failures or comparison.checked < len(cases) * 10 else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    sys.exit(main(options.driver, options.only, options.device))
