# SPDX-License-Identifier: Apache-2.0
"""Adapters, their configs and tensors, against PEFT and the packages that read the same files."""

import copy
import gc
import json
import os
import pathlib
import shutil
import subprocess
import sys

import ferrule
import pytest
import safetensors.torch
import torch
from conftest import CASES, ROOT, adapter_folders


def of_peers(adapter):
    path = adapter.weights_file
    if path.endswith(".safetensors"):
        return safetensors.torch.load_file(path)
    return torch.load(path, weights_only=True)


def same(ours, theirs):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    bits = [tensor.contiguous().view(torch.uint8) if tensor.dim() else tensor.reshape(1).view(torch.uint8)
            for tensor in (ours, theirs)]
    assert torch.equal(*bits)


@pytest.mark.parametrize("folder", adapter_folders(), ids=lambda path: str(path.relative_to(CASES)))
def test_the_state_dict_has_the_tensors_of_the_file(folder):
    adapter = ferrule.open(folder)
    theirs = of_peers(adapter)
    disk = adapter.state_dict("torch", keys="disk")
    assert set(disk) == set(theirs)
    for key, tensor in disk.items():
        same(tensor, theirs[key])
    live = adapter.state_dict("torch")
    assert adapter.live_key("no such key") is None
    if adapter.config.peft_type == "CARTRIDGE":
        # A live model holds the one tensor of the file in two parts.
        same(torch.cat(list(live.values())), *disk.values())
        return
    assert list(live) == [adapter.live_key(key) for key in disk]
    for tensor, other in zip(live.values(), disk.values()):
        same(tensor, other)


def test_live_keys_are_those_of_a_live_peft_model(tmp_path):
    import peft

    class Base(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj = torch.nn.Linear(4, 4)
            self.head = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.q_proj(x))

    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["q_proj"], modules_to_save=["head"])
    model = peft.get_peft_model(Base(), config, adapter_name="mine")
    model.save_pretrained(tmp_path)
    adapter = ferrule.open(tmp_path / "mine")
    live = adapter.state_dict("torch", "mine")
    state = model.state_dict()
    assert set(live) <= set(state)
    for key, tensor in live.items():
        same(tensor, state[key])
    assert [module.strength for module in adapter.modules if module.path == "q_proj"] == [3.0]
    scaling = model.base_model.model.q_proj.scaling["mine"]
    assert adapter.config.resolve_strength("q_proj").strength == scaling


def test_modules_tensors_and_roles(lora):
    adapter = ferrule.open(str(lora))
    assert adapter.config.peft_type == "LORA" and adapter.findings == []
    assert adapter.directory == str(lora) and pathlib.Path(adapter.weights_file).parent == lora
    assert adapter.file_bytes == os.path.getsize(adapter.weights_file)
    module = adapter.modules[0]
    a = module.tensor("lora_A")
    assert a.role == "lora_A" and a.leaf == "weight" and a.key.endswith(f"{module.path}.lora_A.weight")
    assert a.shape == tuple(a.torch().shape) == a.numpy().shape and a.dtype == "F32"
    assert a.nbytes == a.numpy().nbytes
    assert module.tensor("lora_Z") is None
    assert sum(len(one.tensors) for one in adapter.modules) == len(adapter.tensors)


@pytest.mark.parametrize("backing", ["map", "copy"])
def test_tensors_outlive_the_adapter_and_never_change_the_file(lora, tmp_path, backing):
    folder = shutil.copytree(lora, tmp_path / "adapter")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    adapter = ferrule.open(folder, backing=backing)
    tensors = adapter.state_dict("torch", keys="disk")
    arrays = adapter.state_dict("numpy", keys="disk")
    module = adapter.modules[0]
    del adapter
    gc.collect()
    key = next(iter(tensors))
    tensors[key].fill_(7)
    # One memory: what torch writes numpy sees.
    assert (arrays[key] == 7).all()
    assert module.tensor(module.tensors[0].role) is not None
    del arrays, tensors, module
    gc.collect()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_copy_does_not_see_what_becomes_of_the_file(lora, tmp_path):
    folder = shutil.copytree(lora, tmp_path / "adapter")
    adapter = ferrule.open(folder, backing="copy")
    with open(adapter.weights_file, "r+b") as file:
        file.truncate(0)
    for key, tensor in adapter.state_dict("torch", keys="disk").items():
        same(tensor, safetensors.torch.load_file(lora / "adapter_model.safetensors")[key])


@pytest.mark.parametrize("folder", adapter_folders()[::7], ids=lambda path: str(path.relative_to(CASES)))
def test_config_text_is_that_of_the_file_peft_wrote(folder):
    text = (folder / "adapter_config.json").read_text()
    config = ferrule.AdapterConfig.open(folder)
    assert config.document == json.loads(text)
    assert ferrule.AdapterConfig.parse(text).to_json() == config.to_json()
    for field, value in json.loads(text).items():
        assert config[field] == config.get(field) == value and field in config


def test_config_fields_can_be_set_and_are_checked():
    config = ferrule.AdapterConfig.make("LORA", r=4, target_modules={"q", "k"}, rank_pattern={"q": 2})
    assert (config.rank, config.target_modules, config.rank_pattern) == (4, ["k", "q"], {"q": 2.0})
    other = copy.deepcopy(config)
    other.set("r", 8)
    other.set("of_my_own", [2**70, -(2**70), 1.5, None, True, {"a": "ä"}], force=True)
    assert config["r"] == 4 and other["r"] == 8
    assert other["of_my_own"] == [2**70, -(2**70), 1.5, None, True, {"a": "ä"}]
    with pytest.raises(ferrule.InvalidArgumentError, match="CF-8"):
        config.set("r", "four")
    with pytest.raises(TypeError, match="^lora_alpha: JSON has no object"):
        config.set("lora_alpha", object())
    with pytest.raises(KeyError):
        config["no_such_field"]
    assert config["r"] == 4 and config.get("no_such_field", 5) == 5


def test_verify_says_what_the_command_says(ferrule_command):
    paths = [CASES / "lora", CASES / "bf16", ROOT / "tests/malformed/ST-07-hole.safetensors", CASES / "nowhere"]
    for path in paths:
        printed = subprocess.run([ferrule_command, "verify", "--json", path], capture_output=True, text=True).stdout
        theirs = json.loads(printed)["paths"][0]
        report = ferrule.verify(path)
        assert report.good == bool(report) == theirs["good"]
        assert [[getattr(one, field) for field in theirs["findings"][0]] for one in report.findings] == [
            list(one.values()) for one in theirs["findings"]
        ]
        assert (report.system_error is None) == (theirs["error"] is None)


def test_inspect_says_what_the_command_says(ferrule_command, lora):
    def command(path):
        printed = subprocess.run([ferrule_command, "inspect", "--json", path], capture_output=True, text=True).stdout
        return json.loads(printed)

    theirs, ours = command(lora), ferrule.inspect(lora)
    assert isinstance(ours, ferrule.AdapterSummary)
    for name in ("good", "peft_type", "task_type", "rank", "alpha", "weights_file", "file_bytes"):
        assert getattr(ours, name) == theirs[name]
    assert ours.base_model == theirs["base_model_name_or_path"] and ours.directory == theirs["path"]
    assert (ours.totals.tensors, ours.totals.dtypes) == (theirs["tensor_count"], theirs["dtypes"])

    theirs, ours = command(CASES), ferrule.inspect(CASES)
    assert isinstance(ours, ferrule.FolderSummary) and ours.unreadable == []
    assert [one.directory for one in ours.adapters] == [one["path"] for one in theirs["adapters"]]
    assert (ours.bad, ours.directories) == (theirs["bad_count"], theirs["directories"])
    assert ours.totals.parameters == theirs["parameters"]

    theirs, ours = command(lora / "adapter_model.safetensors"), ferrule.inspect(lora / "adapter_model.safetensors")
    assert isinstance(ours, ferrule.ContainerSummary) and ours.container == "safetensors"
    assert (ours.totals.bytes, ours.metadata) == (theirs["tensor_bytes"], theirs["metadata"])


def test_a_checkpoint_is_read_by_its_content(tmp_path):
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3, dtype=torch.int16)}
    torch.save(state, tmp_path / "state.safetensors")
    checkpoint = ferrule.Checkpoint.open(tmp_path / "state.safetensors")
    assert checkpoint.names == ["a", "b"] and len(checkpoint) == 2
    for name, tensor in checkpoint.state_dict("torch").items():
        same(tensor, state[name])


def test_importing_ferrule_imports_neither_torch_nor_numpy():
    code = "import ferrule, sys; print(sorted({'torch', 'numpy', 'peft', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_ferrule_loads_no_network_library():
    code = "import ferrule; print([line for line in open('/proc/self/maps') if 'curl' in line])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_adapter_is_a_collection_of_modules(lora):
    adapter = ferrule.open(lora)
    assert len(adapter) == len(adapter.modules) and adapter
    assert [module.path for module in adapter] == [module.path for module in adapter.modules]
    path = adapter.modules[-1].path
    assert adapter[path].path == path and path in adapter
    assert "no such module" not in adapter and 3 not in adapter
    with pytest.raises(KeyError, match="did you mean"):
        adapter[path + "x"]
    with pytest.raises(TypeError, match="^path: expected str"):
        adapter[3]


def test_a_closed_adapter_says_so_and_its_tensors_live_on(lora):
    with ferrule.open(lora) as adapter:
        key, tensor = next(iter(adapter.state_dict("torch", keys="disk").items()))
        module = adapter.modules[0]
    same(tensor, of_peers(ferrule.open(lora))[key])
    assert module.tensors
    for call in (lambda: adapter.config, lambda: len(adapter), lambda: adapter.state_dict("torch"),
                 lambda: ferrule.explain(adapter), lambda: ferrule.content_id(adapter)):
        with pytest.raises(ValueError, match="the adapter is closed"):
            call()
    adapter.close()
    assert "closed" in repr(adapter)


@pytest.mark.parametrize("folder", adapter_folders(), ids=lambda path: str(path.relative_to(CASES)))
def test_a_range_is_where_the_file_has_the_tensor(folder):
    adapter = ferrule.open(folder)
    content = pathlib.Path(adapter.weights_file).read_bytes()
    for tensor in adapter.tensors:
        place = tensor.range
        assert place.path == adapter.weights_file and place.length == tensor.nbytes
        if place.length:
            bits = tensor.torch().contiguous().reshape(-1).view(torch.uint8)
            assert content[place.offset:place.offset + place.length] == bytes(bits.numpy())
        assert place.offset % place.alignment == 0


def test_ranges_of_checkpoints_and_files(lora):
    path = str(lora / "adapter_model.safetensors")
    checkpoint = ferrule.Checkpoint.open(path)
    name = checkpoint.names[0]
    assert checkpoint.range(name).path == path
    with pytest.raises(ferrule.NotFoundError):
        checkpoint.range("no such tensor")


def test_an_adapter_with_errors_is_refused_unless_asked_for(lora, tmp_path):
    shutil.copytree(lora, tmp_path / "a")
    path = tmp_path / "a/adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "r": config["r"] + 1, "rank_pattern": {}}))
    with pytest.raises(ferrule.CorruptError) as caught:
        ferrule.open(tmp_path / "a")
    adapter = ferrule.open(tmp_path / "a", allow_errors=True)
    assert adapter.findings[0].severity == "error" and adapter.findings[0].rule == caught.value.rule
    with pytest.raises(TypeError):
        ferrule.open(tmp_path / "a", allow_errors="yes")


def test_a_methods_roles_are_listed():
    roles = ferrule.method_roles("LORA")
    assert {"lora_A", "lora_B"} <= {role.role for role in roles} and not roles[0].is_of_model
    assert any(role.is_of_model for role in ferrule.method_roles("VERA"))
    assert ferrule.method_roles("NO_SUCH_METHOD") == []


def test_a_large_file_opens_under_a_small_limit_of_data(tmp_path):
    """Only a tensor that may be written to counts as data of the process."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [1 << 30], "data_offsets": [0, 1 << 30]}}).encode()
    path = tmp_path / "large.safetensors"
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 30))
    program = """if True:
        import resource, sys, ferrule, numpy
        resource.setrlimit(resource.RLIMIT_DATA, (192 << 20, 192 << 20))
        checkpoint = ferrule.Checkpoint.open(sys.argv[1])
        assert checkpoint.names == ["x"]
        try:
            checkpoint.state_dict("numpy")
        except ferrule.LimitExceededError as error:
            print("refused")
    """
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "refused\n", done.stderr


def test_adapters_of_other_programs_are_opened_as_what_peft_has(tmp_path):
    sample = ROOT / "tests/exchange/programs/torchtune"
    source, base = sample / "adapter", sample / "base"
    ferrule.convert(source, tmp_path / "peft", to="peft", base=base)
    ours, theirs = ferrule.open(source, base=base), ferrule.open(tmp_path / "peft")
    disk = theirs.state_dict("torch", keys="disk")
    found = ours.state_dict("torch", keys="disk")
    assert set(found) == set(disk)
    for key, tensor in disk.items():
        same(found[key], tensor)
    assert ours.weights_file.endswith("adapter_model.pt") and ours.file_bytes == os.path.getsize(ours.weights_file)
    assert ferrule.content_id(source, base=base) == ferrule.content_id(tmp_path / "peft")
    assert ferrule.diff(source, tmp_path / "peft", base=base).same
    strengths = [ferrule.explain(path, base=base).modules for path in (source, tmp_path / "peft")]
    assert [(m.module, m.strength) for m in strengths[0]] == [(m.module, m.strength) for m in strengths[1]]
    ferrule.normalize(source, tmp_path / "plain", base=base)
    assert ferrule.diff(tmp_path / "plain", tmp_path / "peft").same
    checkpoint = ROOT / "tests/exchange/programs/lightning"
    opened = ferrule.open(checkpoint / "adapter.ckpt", config=checkpoint / "config.json")
    assert {module.path.rsplit(".", 1)[-1] for module in opened.modules} == {"q_proj", "down_proj"}
    with pytest.raises(ferrule.UnsupportedError, match="strength"):
        ferrule.open(checkpoint / "adapter.ckpt")
