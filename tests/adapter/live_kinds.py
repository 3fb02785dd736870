# SPDX-License-Identifier: Apache-2.0
"""Saves what PEFT itself saves wrongly, or only in some cases, and has PEFT read it back.

usage: live_kinds.py FERRULE

Each kind makes a live PeftModel, saves its state dict with the ferrule command, and loads the result into a fresh base with
PEFT: no tensor may be missing or of another size, and the output must be that of the live model.
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
import transformers as T
import peft as P
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

T.logging.set_verbosity_error()
FERRULE = os.path.abspath(sys.argv[1])
TOKENS = torch.tensor([[1, 5, 7, 3]])


def llama(bias=False):
    torch.manual_seed(0)
    return T.LlamaForCausalLM(T.LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, attention_bias=bias, mlp_bias=bias)).eval()


def fill(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for _, tensor in model.named_parameters():
            if tensor.requires_grad and tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape) * 0.1)


def config_file(config, path):
    fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    json.dump(fields, open(path, "w"), default=lambda value: getattr(value, "value", str(value)))
    return path


def run(*command):
    done = subprocess.run([FERRULE, *command], capture_output=True, text=True)
    assert done.returncode == 0, f"ferrule {command[0]}: exit {done.returncode}: {done.stderr.strip()[-400:]}"
    return done.stdout + done.stderr


def live_model(first, second=None, bias=False):
    model = get_peft_model(llama(bias), first)
    if second is not None:
        model.add_adapter("second", second)
        model.set_adapter("second")
        fill(model)
        model.set_adapter("default")
    fill(model)
    return model.eval()


def save(model, folder, *more, state=None):
    """Saves all adapters with the command."""
    state = model.state_dict() if state is None else state
    save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, folder + "/state.safetensors")
    configs = []
    for name, config in model.peft_config.items():
        configs += ["--config", f"{name}={config_file(config, f'{folder}/{name}.json')}"]
    text = run("save", folder + "/state.safetensors", "-o", folder + "/ours", *configs, *more)
    run("verify", folder + "/ours")
    return text


def assert_loads(model, folder, name="default", bias=False):
    """PEFT loads every tensor, and the outputs are the live model's."""
    place = folder + "/ours" if name == "default" else f"{folder}/ours/{name}"
    loaded = PeftModel.from_pretrained(llama(bias), place, adapter_name=name).eval()
    written, read = load_file(place + "/adapter_model.safetensors"), get_peft_model_state_dict(loaded, adapter_name=name)
    for key in read:
        assert key in written and torch.equal(written[key], read[key]), key
    model.set_adapter(name)
    with torch.no_grad():
        ours, live = loaded(TOKENS).logits, model(TOKENS).logits
    assert torch.allclose(ours, live, atol=1e-5), (ours - live).abs().max()
    return written


def lora(**fields):
    return P.LoraConfig(**{"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **fields})


def bias_of_other_adapters(folder):
    for bias in ("lora_only", "all"):
        model = live_model(lora(bias=bias), lora(target_modules=["v_proj"]), bias=True)
        save(model, folder)
        written = assert_loads(model, folder, bias=True)
        assert "base_model.model.model.layers.1.self_attn.v_proj.bias" in written, sorted(written)


def second_randlora(folder):
    model = live_model(P.RandLoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
                       P.RandLoraConfig(r=4, target_modules=["k_proj"], task_type="CAUSAL_LM"))
    save(model, folder)
    assert_loads(model, folder)
    written = assert_loads(model, folder, "second")
    assert written["base_model.randlora_A"].shape == (4, 1, 16), written["base_model.randlora_A"].shape
    assert written["base_model.randlora_B"].shape == (32, 4, 4), written["base_model.randlora_B"].shape


def empty_rotation(folder):
    model = live_model(P.OFTConfig(r=0, oft_block_size=1, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    save(model, folder)
    assert_loads(model, folder)


def prompt_with_embeddings(folder):
    model = live_model(P.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"))
    model.save_pretrained(folder + "/theirs", save_embedding_layers=True)
    state = {key: value for key, value in model.state_dict().items()}
    save(model, folder, "--embeddings", "always", state=state)
    ours, theirs = (load_file(f"{folder}/{who}/adapter_model.safetensors") for who in ("ours", "theirs"))
    assert set(ours) == set(theirs) and "base_model.lm_head.weight" in ours, (sorted(ours), sorted(theirs))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def overlapping_patterns(folder):
    """PEFT sorts the entries, and then cannot read its own file, or reads another strength."""
    tables = [
        dict(rank_pattern={"q_proj": 2, "layers.0.self_attn.q_proj": 3}),
        dict(rank_pattern={"layers.1.*": 5, "k_proj": 3, ".*q_proj": 4}),
        dict(alpha_pattern={"q_proj": 8, "layers.0.self_attn.q_proj": 32}),
        dict(alpha_pattern={"self_attn.(q|k)_proj": 2, "layers.0.*": 6, "k_proj": 9}, rank_pattern={"v_proj": 1, "layers.1.*": 3}),
        dict(alpha_pattern={"z|q_proj": 2, "layers.0.*": 6, ".*k_proj": 9}, use_rslora=True),
    ]
    for number, table in enumerate(tables):
        place = f"{folder}/{number}"
        os.makedirs(place)
        model = live_model(lora(r=4, lora_alpha=4, target_modules=["q_proj", "k_proj", "v_proj"], **table))
        save(model, place)
        assert_loads(model, place)


def patterns_that_agree_stay(folder):
    """Where sorting changes nothing, the text is PEFT's."""
    model = live_model(lora(target_modules=["q_proj", "k_proj"], rank_pattern={"q_proj": 3, "k_proj": 2},
                            alpha_pattern={"self_attn.q_proj": 3, "layers.0.self_attn.q_proj": 3}))
    save(model, folder)
    model.save_pretrained(folder + "/theirs")
    ours, theirs = (json.load(open(f"{folder}/{who}/adapter_config.json")) for who in ("ours", "theirs"))
    assert ours["rank_pattern"] == theirs["rank_pattern"] and ours["alpha_pattern"] == theirs["alpha_pattern"]


def order_lost_already(folder):
    """The config was written by PEFT, sorted; the ranks are in the tensors."""
    model = live_model(lora(r=4, rank_pattern={"q_proj": 2, "layers.0.self_attn.q_proj": 3}))
    model.save_pretrained(folder + "/theirs")
    save_file(model.state_dict(), folder + "/state.safetensors")
    run("save", folder + "/state.safetensors", "-o", folder + "/ours", "--config", folder + "/theirs/adapter_config.json")
    run("verify", folder + "/ours")
    assert_loads(model, folder)


def trainer_checkpoint(folder):
    """A folder that PEFT saved is an adapter already."""
    model = live_model(lora(target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"]))
    model.save_pretrained(folder + "/checkpoint-2")
    torch.save({"mm_projector.weight": torch.ones(2, 2)}, folder + "/checkpoint-2/non_lora_trainables.bin")
    text = run("save", folder + "/checkpoint-2", "-o", folder + "/ours", "--config", folder + "/checkpoint-2/adapter_config.json")
    assert "non_lora_trainables.bin" in text, text
    assert_loads(model, folder)
    ours, theirs = (open(f"{folder}/{who}/adapter_model.safetensors", "rb").read() for who in ("ours", "checkpoint-2"))
    assert ours == theirs


def saved_state_of_every_method(folder):
    """The keys of a saved file, of methods whose names are spelled in other ways."""
    both = dict(target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    configs = {
        "adalora": P.AdaLoraConfig(init_r=4, total_step=10, tinit=1, tfinal=1, **both),
        "boft": P.BOFTConfig(boft_block_size=4, **both),
        "dora": P.LoraConfig(r=2, use_dora=True, **both),
        "fourierft": P.FourierFTConfig(n_frequency=5, **both),
        "ia3": P.IA3Config(target_modules=["q_proj", "down_proj"], feedforward_modules=["down_proj"], task_type="CAUSAL_LM"),
        "ln": P.LNTuningConfig(target_modules=["input_layernorm"], task_type="CAUSAL_LM"),
        "loha": P.LoHaConfig(r=2, **both),
        "lokr": P.LoKrConfig(r=2, **both),
        "oft": P.OFTConfig(r=0, oft_block_size=8, **both),
        "prefix": P.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
        "prompt": P.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
        "randlora": P.RandLoraConfig(r=4, **both),
        "tokens": P.LoraConfig(r=2, trainable_token_indices=[1, 4], **both),
        "vblora": P.VBLoRAConfig(r=2, vector_length=4, num_vectors=8, **both),
        "vera": P.VeraConfig(r=4, **both),
    }
    for name, config in configs.items():
        place = f"{folder}/{name}"
        live_model(config).save_pretrained(place + "/theirs")
        run("save", place + "/theirs", "-o", place + "/ours", "--config", place + "/theirs/adapter_config.json")
        for file in ("adapter_model.safetensors", "adapter_config.json"):
            ours, theirs = (open(f"{place}/{who}/{file}", "rb").read() for who in ("ours", "theirs"))
            if file.endswith(".json"):
                ours, theirs = ({key: sorted(value) if isinstance(value, list) else value for key, value in json.loads(text).items()}
                                for text in (ours, theirs))
            assert ours == theirs, (name, file)


def hotswap_padding(folder):
    """prepare_model_for_compiled_hotswap pads with zeros, which PEFT saves with the config's own rank."""
    from peft.utils.hotswap import prepare_model_for_compiled_hotswap

    model = live_model(lora(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
    prepare_model_for_compiled_hotswap(model, target_rank=16)
    text = save(model, folder)
    assert "KY-13" in text, text
    written = assert_loads(model, folder)
    assert written["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"].shape == (4, 32)
    # What PEFT wrote itself.
    model.save_pretrained(folder + "/theirs")
    refused("AD-5", "verify", folder + "/theirs")
    try:
        PeftModel.from_pretrained(llama(), folder + "/theirs")
        raise AssertionError("PEFT loads it")
    except RuntimeError:
        pass
    text = run("fix", folder + "/theirs", "-o", folder + "/fixed")
    assert "zeros past the rank" in text, text
    fixed = load_file(folder + "/fixed/adapter_model.safetensors")
    assert set(fixed) == set(written) and all(torch.equal(fixed[key], written[key]) for key in fixed)


def refused(rule, *command):
    done = subprocess.run([FERRULE, *command], capture_output=True, text=True)
    assert done.returncode == 1 and rule in done.stdout + done.stderr, (done.returncode, done.stdout + done.stderr)


def saved_by_peft(folder, **fields):
    model = live_model(lora(**fields))
    model.save_pretrained(folder)
    return load_file(folder + "/adapter_model.safetensors"), json.load(open(folder + "/adapter_config.json"))


def write(folder, tensors, config):
    save_file(tensors, folder + "/adapter_model.safetensors", metadata={"format": "pt"})
    json.dump(config, open(folder + "/adapter_config.json", "w"))


def loaded_keys(folder):
    return set(get_peft_model_state_dict(PeftModel.from_pretrained(llama(), folder)))


def modules_that_nothing_selects(folder):
    tensors, config = saved_by_peft(folder, target_modules=["q_proj", "v_proj"])
    write(folder, tensors, {**config, "target_modules": ["q_proj"]})
    assert not any("v_proj" in key for key in loaded_keys(folder))
    refused("AD-14", "verify", folder)
    write(folder, tensors, {**config, "layers_to_transform": [0]})
    assert not any("layers.1." in key for key in loaded_keys(folder))
    refused("AD-14", "verify", folder)
    # The first letter is Cyrillic.
    write(folder, tensors, {**config, "target_modules": ["q_proj", "\u0475_proj"]})
    assert not any("v_proj" in key for key in loaded_keys(folder))
    refused("looks like", "verify", folder)
    write(folder, tensors, {**config, "target_modules": "all-linear"})
    run("verify", folder)


def rank_of_zero(folder):
    tensors, config = saved_by_peft(folder)
    for rank in (0, -2):
        write(folder, tensors, {**config, "rank_pattern": {"layers.1.*": rank}})
        try:
            PeftModel.from_pretrained(llama(), folder)
            raise AssertionError("PEFT loads it")
        except ValueError:
            refused("CF-12", "verify", folder)


def sub_folders_are_carried(folder):
    """The modules of sentence-transformers have weights of their own."""
    saved_by_peft(folder + "/in")
    for file in ("1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/deep/er.txt", ".cache/x"):
        os.makedirs(os.path.dirname(f"{folder}/in/{file}"), exist_ok=True)
        open(f"{folder}/in/{file}", "w").write(file)
    for command in (["convert", "--to", "bin"], ["normalize"]):
        out = folder + "/" + command[0]
        run(command[0], folder + "/in", "-o", out, *command[1:])
        for file in ("1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/deep/er.txt"):
            assert open(f"{out}/{file}").read() == file
        assert not os.path.exists(out + "/.cache")


def normalize_of_nan(folder):
    tensors, config = saved_by_peft(folder)
    for value in (float("nan"), float("inf")):
        next(iter(tensors.values()))[0, 0] = value
        write(folder, tensors, config)
        refused("AD-20", "normalize", folder, "-o", folder + "/out")
        assert not os.path.exists(folder + "/out")


def whole_bin_beside_empty_safetensors(folder):
    tensors, config = saved_by_peft(folder)
    write(folder, {key: torch.zeros(0) for key in tensors}, config)
    torch.save(tensors, folder + "/adapter_model.bin")
    refused("adapter_model.bin", "verify", folder)
    commands = (["convert"], ["fix"], ["save", "--config", folder + "/adapter_config.json"])
    for command in commands:
        out = folder + "/" + command[0]
        run(command[0], folder, "-o", out, *command[1:])
        run("verify", out)
        written = load_file(out + "/adapter_model.safetensors")
        assert all(torch.equal(written[key], tensors[key]) for key in tensors) and len(written) == len(tensors)
        assert loaded_keys(out) == set(tensors)


KINDS = [modules_that_nothing_selects, rank_of_zero, sub_folders_are_carried, normalize_of_nan, whole_bin_beside_empty_safetensors,
         bias_of_other_adapters, second_randlora, empty_rotation, prompt_with_embeddings, overlapping_patterns,
         patterns_that_agree_stay, order_lost_already, trainer_checkpoint, saved_state_of_every_method, hotswap_padding]


def main():
    wanted = [kind for kind in KINDS if len(sys.argv) < 3 or sys.argv[2] in kind.__name__]
    failed = 0
    for kind in wanted:
        with tempfile.TemporaryDirectory() as folder:
            try:
                kind(folder)
            except Exception as error:
                failed += 1
                print(f"{kind.__name__}: {type(error).__name__}: {str(error)[:600]}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed or not wanted else 0


sys.exit(main())
