# SPDX-License-Identifier: Apache-2.0
"""The verbs that give a report, compared with the command's --json documents and with PEFT."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import ferrule
import ferrule.numpy
import numpy as np
import pytest
from conftest import CASES, adapter_folders

MODULES = [f"layers.{layer}.{name}" for layer in (0, 1) for name in ("q_proj", "v_proj")]


@pytest.fixture
def documents(ferrule_command):
    def of(*words):
        done = subprocess.run([ferrule_command, *map(str, words), "--json"], capture_output=True, text=True)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    return of


def tensors_of(modules, seed=0, rank=4):
    random = np.random.default_rng(seed)
    return {f"base_model.model.{module}.lora_{side}.weight": random.standard_normal(shape, dtype=np.float32)
            for module in modules for side, shape in (("A", (rank, 8)), ("B", (8, rank)))}


def write_adapter(folder, modules=MODULES, **fields):
    folder.mkdir()
    config = ferrule.AdapterConfig.make("LORA", **{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"],
                                                   **fields})
    (folder / "adapter_config.json").write_text(config.to_json())
    ferrule.numpy.save_file(tensors_of(modules), folder / "adapter_model.safetensors")
    return folder


@pytest.fixture
def adapter(tmp_path):
    return write_adapter(tmp_path / "adapter")


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    ferrule.numpy.save_file({f"{module}.weight": np.zeros((8, 8), np.float32) for module in MODULES},
                            folder / "model.safetensors")
    (folder / "config.json").write_text('{"architectures": ["Tiny"], "model_type": "tiny"}')
    return folder


def assert_is_report(report, document):
    assert report.to_dict() == document
    again = pickle.loads(pickle.dumps(report))
    assert again == report and again.to_dict() == document
    assert str(report) and repr(report).startswith(f"<ferrule.{type(report).__name__} ")
    assert report._repr_html_().endswith("</p>")
    with pytest.raises(AttributeError):
        report.anything = 1
    assert [finding.to_dict() for finding in report.findings] == document.get("findings", [])
    report.to_dict().clear()
    assert report.to_dict() == document


def test_check_gives_the_document_of_the_command(adapter, base, documents):
    report = ferrule.check(adapter, base)
    assert_is_report(report, documents("check", adapter, "--base", base))
    assert report.good and report and report.verdict == "ok"
    assert (report.matched, report.total) == (4, 4)
    report.raise_for_errors()


def test_check_of_a_base_without_some_modules(tmp_path, base, documents):
    adapter = write_adapter(tmp_path / "more", [*MODULES, "layers.2.q_proj"])
    report = ferrule.check(adapter, ferrule.BaseModel.open(base), engines=["vllm"], values=True)
    assert_is_report(report, documents("check", adapter, "--base", base, "--engine", "vllm", "--values"))
    assert report.verdict == "bad" and not report
    with pytest.raises(ferrule.CorruptError) as caught:
        report.raise_for_errors()
    assert caught.value.rule == next(finding.rule for finding in report.findings if finding.severity == "error")
    partial = ferrule.check(ferrule.open(adapter), base, allow_partial=True)
    assert partial.to_dict() == documents("check", adapter, "--base", base, "--allow-partial")
    assert partial.verdict == "warn" and partial.good


def test_save_takes_the_config_of_a_state_that_is_an_adapter(tmp_path, adapter):
    ferrule.save(adapter, tmp_path / "out")
    assert ferrule.diff(adapter, tmp_path / "out").same
    with pytest.raises(TypeError, match="config is required"):
        ferrule.save(adapter / "adapter_model.safetensors", tmp_path / "no")


def test_a_table_of_engines_replaces_the_one_of_the_release(tmp_path, adapter, base, documents):
    table = tmp_path / "engines.json"
    table.write_text(json.dumps({"format": 1, "engines": [
        {"id": "mine", "title": "Mine", "version": "2", "date": "2026-11-29", "facts": [
            {"feature": "strength", "behavior": "ignored", "until": "2", "read": "1", "source": "mine.py"}]}]}))
    old = ferrule.check(adapter, base, engines=["mine@1"], engine_table=table)
    assert old.to_dict() == documents("check", adapter, "--base", base, "--engine", "mine@1", "--engines", table)
    assert "BS-22" in {finding.rule for finding in old.findings}
    assert ferrule.check(adapter, base, engines=["mine"], engine_table=table).good
    with pytest.raises(ferrule.InvalidArgumentError, match="vllm"):
        ferrule.check(adapter, base, engines=["vllm"], engine_table=table)
    with pytest.raises(ferrule.NotFoundError):
        ferrule.normalize(adapter, tmp_path / "out", engines=["mine"], engine_table=tmp_path / "nowhere.json")


def test_check_against_a_config_alone_is_unknown(adapter, base, documents):
    report = ferrule.check(adapter, base / "config.json")
    assert_is_report(report, documents("check", adapter, "--base", base / "config.json"))
    with pytest.raises(ferrule.UnsupportedError):
        report.raise_for_errors()


def test_check_takes_the_base_that_the_config_names(tmp_path, base):
    adapter = write_adapter(tmp_path / "named", base_model_name_or_path=str(base))
    assert ferrule.check(adapter).verdict == ferrule.check(adapter, base).verdict
    with pytest.raises(ferrule.InvalidArgumentError, match="does not name its base model"):
        ferrule.check(write_adapter(tmp_path / "nameless"))
    absent = write_adapter(tmp_path / "absent", base_model_name_or_path="nobody/has-this-base")
    with pytest.raises(ferrule.Error):
        ferrule.check(absent)


@pytest.mark.parametrize("folder", adapter_folders(), ids=lambda path: str(path.relative_to(CASES)))
def test_explain_gives_the_document_of_the_command(folder, documents):
    report = ferrule.explain(folder)
    assert_is_report(report, documents("explain", folder))
    opened = ferrule.open(folder)
    if opened.config.peft_type == "DELORA":  # explain() also reads its trained lambda.
        return
    for module in report:
        if module.strength is not None and module.module in opened:
            assert opened[module.module].strength == module.strength


def test_explain_takes_a_glob(adapter, documents):
    report = ferrule.explain(adapter, "layers.0.*")
    assert_is_report(report, documents("explain", adapter, "--module", "layers.0.*"))
    assert [module.module for module in report.modules] == ["layers.0.q_proj", "layers.0.v_proj"]
    assert "2 modules of LORA: 2 at 2" in str(report)


def test_diff_gives_the_document_of_the_command(tmp_path, adapter, documents):
    other = write_adapter(tmp_path / "other", lora_alpha=16)
    for tensors in (False, True):
        report = ferrule.diff(adapter, other, tensors=tensors)
        assert_is_report(report, documents("diff", adapter, other, *["--tensors"] * tensors))
    assert report.verdict == "scaled" and report.factor == 2.0 and not report.same
    assert report.modules[0].tensors[0].tensor == "lora_A"
    assert [field.field for field in report.config] == ["lora_alpha"]
    assert ferrule.diff(ferrule.open(adapter), adapter).same


def test_content_id_is_that_of_the_command(adapter, documents):
    identity = ferrule.content_id(adapter)
    assert identity == documents("id", adapter)["adapters"][0]["id"] == ferrule.content_id(ferrule.open(adapter))


def test_adapters_with_errors_are_not_compared(tmp_path, adapter):
    bad = write_adapter(tmp_path / "bad", r=8)
    for call in (lambda: ferrule.content_id(bad), lambda: ferrule.diff(adapter, bad)):
        with pytest.raises(ferrule.CorruptError) as caught:
            call()
        assert caught.value.rule.startswith("AD-")


def test_convert_gives_the_document_of_the_command(tmp_path, adapter, documents):
    import torch

    report = ferrule.convert(adapter, tmp_path / "ours", to="bin")
    document = documents("convert", adapter, "-o", tmp_path / "theirs", "--to", "bin")
    document["directory"] = str(tmp_path / "ours")
    assert_is_report(report, document)
    for name in os.listdir(tmp_path / "theirs"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    state = torch.load(tmp_path / "ours" / report.adapters[0].target, weights_only=True)
    assert set(state) == set(tensors_of(MODULES))


def test_normalize_gives_the_document_of_the_command(tmp_path, adapter, documents):
    report = ferrule.normalize(adapter, tmp_path / "ours", scale="a", engines=["vllm"])
    document = documents("normalize", adapter, "-o", tmp_path / "theirs", "--scale", "a", "--engine", "vllm")
    document["directory"] = str(tmp_path / "ours")
    assert_is_report(report, document)
    assert report.exact and report.folded == 4
    assert ferrule.diff(adapter, tmp_path / "ours").same
    dora = write_adapter(tmp_path / "dora", use_dora=True)
    with pytest.raises(ferrule.Error):
        ferrule.normalize(dora, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_combine_and_resize_give_the_documents_of_the_command(tmp_path, adapter, documents):
    report = ferrule.combine([adapter, adapter], tmp_path / "ours", method="svd", weights=[2, -0.5], rank=1)
    document = documents("combine", adapter, adapter, "-o", tmp_path / "theirs", "--method", "svd", "--weight=2",
                         "--weight=-0.5", "--rank", "1")
    document["output"] = str(tmp_path / "ours")
    assert_is_report(report, document)
    assert {row.rank for row in report.modules} == {1} and report.modules[0].singular_values
    report = ferrule.resize(adapter, tmp_path / "small", max_error=0.5)
    document = documents("resize", adapter, "-o", tmp_path / "theirs", "--max-error", "0.5")
    document["output"] = str(tmp_path / "small")
    assert_is_report(report, document)
    report = ferrule.to_lora(adapter, tmp_path / "plain", rank=2)
    document = documents("to-lora", adapter, "-o", tmp_path / "theirs", "--rank", "2")
    document["output"] = str(tmp_path / "plain")
    assert_is_report(report, document)
    assert report.source_type == "LORA"
    with pytest.raises(ferrule.InvalidArgumentError):
        ferrule.resize(adapter, tmp_path / "no", rank=1, energy=0.5)


def test_extract_gives_the_document_of_the_command(tmp_path, documents):
    import numpy as np

    rng = np.random.default_rng(1)
    for name in ("base", "tuned"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        ferrule.numpy.save_file({"layer.weight": rng.standard_normal((6, 4)).astype("f4"),
                                 "norm.weight": rng.standard_normal(4).astype("f4")}, tmp_path / name / "model.safetensors")
    report = ferrule.extract(tmp_path / "base", tmp_path / "tuned", tmp_path / "ours", rank=2, full_modules=True)
    document = documents("extract", "--base", tmp_path / "base", "--tuned", tmp_path / "tuned", "-o", tmp_path / "theirs",
                         "--rank", "2", "--full-modules")
    document["output"] = str(tmp_path / "ours")
    assert_is_report(report, document)
    assert [other.tensor for other in report.others] == ["norm.weight"] and report.others[0].kept


def test_fix_gives_the_document_of_the_command(tmp_path, adapter, documents):
    wrapped = {key.replace("layers", "_orig_mod.layers"): tensor for key, tensor in tensors_of(MODULES).items()}
    ferrule.numpy.save_file(wrapped, adapter / "adapter_model.safetensors")
    report = ferrule.fix(adapter, tmp_path / "ours")
    document = documents("fix", adapter, "-o", tmp_path / "theirs")
    document["directory"] = str(tmp_path / "ours")
    assert report.to_dict() == document
    assert report.good and report.written and report.adapters[0].fixed[0].what == "training-wrapper"
    assert set(ferrule.open(tmp_path / "ours").state_dict("numpy", keys="disk")) == set(tensors_of(MODULES))

    ferrule.numpy.save_file(tensors_of(MODULES, rank=3), adapter / "adapter_model.safetensors")
    remains = ferrule.fix(adapter, tmp_path / "none")
    assert not remains and not (tmp_path / "none").exists()
    assert remains.findings == remains.adapters[0].remaining
    with pytest.raises(ferrule.CorruptError):
        remains.raise_for_errors()


def test_save_writes_the_files_of_peft(tmp_path):
    import peft
    import torch

    class Base(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.q_proj(x)

    torch.manual_seed(0)
    model = peft.get_peft_model(Base(), peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    model.save_pretrained(tmp_path / "theirs")
    config = ferrule.AdapterConfig.open(tmp_path / "theirs")
    state = model.state_dict()
    for name, given in (("torch", state), ("numpy", {key: tensor.numpy() for key, tensor in state.items()})):
        report = ferrule.save(given, tmp_path / name, config)
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes()
        assert report.adapters[0].tensor_count == 2 and report.saved_bytes > 0


def test_save_gives_the_document_of_the_command(tmp_path, adapter, base, documents):
    state = tmp_path / "state.safetensors"
    live = {key.replace(".weight", ".default.weight"): tensor for key, tensor in tensors_of(MODULES).items()}
    live |= {"base_model.model.other": np.ones(3, np.float32)}
    ferrule.numpy.save_file(live, state)
    config = adapter / "adapter_config.json"
    document = documents("save", state, "-o", tmp_path / "theirs", "--config", config, "--dtype", "bf16",
                         "--base", base, "--fingerprint")
    for entry in document["adapters"]:
        entry["directory"] = entry["directory"].replace("theirs", "ours")
    for given in (live, ferrule.Checkpoint.open(state), state, [state]):
        report = ferrule.save(given, tmp_path / "ours", config, dtype="bf16", base=base, fingerprint=True)
        assert_is_report(report, document)
    for name in os.listdir(tmp_path / "theirs"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_save_selects_among_several_adapters(tmp_path, adapter):
    live = {}
    for name in ("a", "b"):
        live |= {key.replace(".weight", f".{name}.weight"): tensor for key, tensor in tensors_of(MODULES).items()}
    config = ferrule.AdapterConfig.open(adapter)
    report = ferrule.save(live, tmp_path / "out", {"a": config, "b": adapter}, select=["b"], card=False)
    assert [saved.name for saved in report.adapters] == ["b"]
    assert sorted(os.listdir(tmp_path / "out" / "b")) == ["adapter_config.json", "adapter_model.safetensors"]


def test_a_plain_card_has_nothing_about_ferrule(tmp_path, adapter):
    live = {key.replace(".weight", ".default.weight"): tensor for key, tensor in tensors_of(MODULES).items()}
    for card, has_section in ((True, True), ("plain", False), (True, True)):
        ferrule.save(live, tmp_path / "out", adapter, card=card)
        text = (tmp_path / "out" / "README.md").read_text()
        assert ("## Load it with Ferrule" in text) == has_section and "## Load it with PEFT" in text
    with pytest.raises(TypeError, match='^card: expected True, False or "plain", found int$'):
        ferrule.save(live, tmp_path / "out", adapter, card=1)
    with pytest.raises(ValueError, match='^card: expected True, False or "plain", found "none"$'):
        ferrule.save(live, tmp_path / "out", adapter, card="none")


def test_save_and_check_work_without_torch(tmp_path, adapter, base):
    program = f"""
import sys
sys.modules["torch"] = None
import ferrule, ferrule.numpy
state = ferrule.numpy.load_file({str(adapter / "adapter_model.safetensors")!r})
live = {{key.replace(".weight", ".default.weight"): tensor for key, tensor in state.items()}}
ferrule.save(live, {str(tmp_path / "out")!r}, {str(adapter)!r})
assert ferrule.check({str(tmp_path / "out")!r}, {str(base)!r}).good
assert ferrule.diff({str(tmp_path / "out")!r}, {str(adapter)!r}).same
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("call", "argument"), [
    (lambda a: ferrule.check(3, a), "adapter"),
    (lambda a: ferrule.check(a, 3), "base"),
    (lambda a: ferrule.check(a, a, engines="vllm"), "engines"),
    (lambda a: ferrule.check(a, a, engines=3), "engines"),
    (lambda a: ferrule.explain(None), "adapter"),
    (lambda a: ferrule.explain(a, 3), "module"),
    (lambda a: ferrule.diff(a, []), "b"),
    (lambda a: ferrule.content_id({}), "adapter"),
    (lambda a: ferrule.convert(a, None), "output"),
    (lambda a: ferrule.convert(a, a, to=3), "to"),
    (lambda a: ferrule.normalize(3, a), "adapter"),
    (lambda a: ferrule.normalize(a, a, durability=None), "durability"),
    (lambda a: ferrule.fix(a, a, base=3), "base"),
    (lambda a: ferrule.save(3, a, a), "state"),
    (lambda a: ferrule.save({}, 3, a), "directory"),
    (lambda a: ferrule.save({}, a, 3), "config"),
    (lambda a: ferrule.save({}, a, {"x": 3}), "config"),
    (lambda a: ferrule.save({1: np.ones(1)}, a, a), "state"),
    (lambda a: ferrule.save({"a": 1}, a, a), "state"),
    (lambda a: ferrule.save({}, a, a, select="default"), "select"),
    (lambda a: ferrule.BaseModel.open(3), "path"),
])
def test_a_wrong_type_is_a_type_error_that_names_the_argument(adapter, call, argument):
    with pytest.raises(TypeError, match=rf"^{argument}\b"):
        call(adapter)


@pytest.mark.parametrize(("call", "text"), [
    (lambda a, o: ferrule.convert(a, o, to="ggfu"), 'there is no dialect "ggfu"; did you mean gguf'),
    (lambda a, o: ferrule.normalize(a, o, rank="all"), 'rank: expected "uniform" or "keep", found "all"'),
    (lambda a, o: ferrule.normalize(a, o, scale="c"), 'scale: expected "b", "a" or "split", found "c"'),
    (lambda a, o: ferrule.fix(a, o, durability="Safe"), 'durability: expected "fast", "safe" or "full", found "Safe"'),
    (lambda a, o: ferrule.save({}, o, a, dtype="fp16"), 'dtype: expected "keep", "f32", "bf16" or "f16", found "fp16"'),
    (lambda a, o: ferrule.save({}, o, a, fingerprint=True), "fingerprint needs base"),
    (lambda a, o: ferrule.check(a, o, engines=["vlm"]), "vllm"),
])
def test_a_wrong_value_is_a_value_error(adapter, base, tmp_path, call, text):
    with pytest.raises(ValueError) as caught:
        call(adapter, base if "vllm" in text else tmp_path / "out")
    assert text in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_raises(tmp_path, adapter, base):
    missing = tmp_path / "missing"
    for call in (lambda: ferrule.check(missing, base), lambda: ferrule.check(adapter, missing),
                 lambda: ferrule.explain(missing), lambda: ferrule.diff(adapter, missing),
                 lambda: ferrule.convert(missing, tmp_path / "out"), lambda: ferrule.fix(missing, tmp_path / "out"),
                 lambda: ferrule.normalize(missing, tmp_path / "out"), lambda: ferrule.content_id(missing),
                 lambda: ferrule.save(missing, tmp_path / "out", adapter)):
        with pytest.raises(FileNotFoundError):
            call()
    assert not (tmp_path / "out").exists()


def test_pending_saves_are_waited_for(tmp_path, adapter):
    from ferrule import _pending

    target = tmp_path / "later"
    pending = _pending.submit(str(target), lambda: shutil.copytree(adapter, target))
    assert ferrule.explain(target)
    assert pending.done()


def test_base_model_shows_its_headers(base):
    import safetensors

    model = ferrule.BaseModel.open(base)
    with safetensors.safe_open(base / "model.safetensors", "np") as file:
        assert model.tensor_count == len(file.keys())
    assert model.has_tensors and model.class_name == "Tiny" and len(model.fingerprint) == 64
    assert model.config["model_type"] == "tiny"
    only_config = ferrule.BaseModel.open(base / "config.json")
    assert not only_config.has_tensors and only_config.fingerprint == ""
    assert "Tiny" in repr(model)


def test_findings_are_values():
    finding = ferrule.Finding("error", "AD-3", "p\udcff", "k", "m", "a")
    same = ferrule.Finding(severity="error", rule="AD-3", path="p\udcff", key="k", message="m", advice="a")
    assert finding == same and hash(finding) == hash(same) and pickle.loads(pickle.dumps(finding)) == same
    assert finding != ferrule.Finding("note") and finding != "AD-3"
    assert finding.to_dict()["rule"] == "AD-3"
    with pytest.raises(ValueError, match="severity"):
        ferrule.Finding("bad")
    with pytest.raises(TypeError, match="rule"):
        ferrule.Finding("note", 3)


def test_every_public_name_can_be_had():
    assert set(ferrule.__all__) <= set(dir(ferrule))
    for name in ferrule.__all__:
        assert getattr(ferrule, name) is not None
    with pytest.raises(AttributeError):
        ferrule.no_such_name


def test_import_stays_light():
    program = "import sys, ferrule; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "numpy", "dataclasses", "inspect", "ferrule._reports", "ferrule._verbs"} & set(modules)
