# SPDX-License-Identifier: Apache-2.0
"""PEFT models on a GPU: what they save is what PEFT saves. Without a GPU they are listed as skipped."""

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

import ferrule
import ferrule.peft
from models import CASES, Tokens, clean, llama, sorted_sets  # noqa: F401

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: torch finds no GPU")
CHOSEN = ["lora", "lora_dora", "lora_embedding", "lora_saved_module", "lora_tokens", "lora_bias_all", "adalora", "ia3",
          "loha", "lokr", "oft", "vera", "prompt", "prefix"]


def on_gpu(name, dtype=torch.float32):
    base, config = CASES[name]
    return peft.get_peft_model(base().to("cuda", dtype), config()).to("cuda")


def train(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                assert parameter.is_cuda
                parameter.add_(torch.randn_like(parameter) * 0.1)


def answer(model):
    with torch.no_grad():
        return model.eval()(torch.arange(8, device="cuda")[None]).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", CHOSEN)
def test_the_same_files_and_the_same_answers(name, dtype, tmp_path):
    model = on_gpu(name, dtype)
    train(model)
    model.save_pretrained(tmp_path / "stock")
    ferrule.peft.save_pretrained(model, tmp_path / "ours")
    ferrule.peft.save_pretrained(model, tmp_path / "later", asynchronous=True).wait()
    weights = (tmp_path / "stock" / "adapter_model.safetensors").read_bytes()
    for folder in ("ours", "later"):
        assert (tmp_path / folder / "adapter_model.safetensors").read_bytes() == weights
        assert (tmp_path / folder / "adapter_config.json").read_text() == sorted_sets(
            (tmp_path / "stock" / "adapter_config.json").read_text(), model.peft_config["default"])
    torch.manual_seed(0)
    base = CASES[name][0]
    again = ferrule.peft.from_pretrained(base().to("cuda", dtype), tmp_path / "ours")
    assert all(parameter.is_cuda for parameter in again.parameters())
    torch.manual_seed(0)
    stock = peft.PeftModel.from_pretrained(base().to("cuda", dtype), tmp_path / "stock")
    assert torch.equal(answer(again), answer(stock))


def test_the_patch(tmp_path):
    model = on_gpu("lora")
    train(model)
    model.save_pretrained(tmp_path / "stock")
    for native in (False, True):
        ferrule.peft.patch(native=native)
        model.save_pretrained(tmp_path / "patched")
        again = peft.PeftModel.from_pretrained(llama().to("cuda"), tmp_path / "patched")
        ferrule.peft.unpatch()
        assert (tmp_path / "patched" / "adapter_model.safetensors").read_bytes() == (
            tmp_path / "stock" / "adapter_model.safetensors").read_bytes()
        expected = peft.get_peft_model_state_dict(model)
        for key, tensor in peft.get_peft_model_state_dict(again).items():
            assert tensor.is_cuda and torch.equal(tensor, expected[key])


def test_an_asynchronous_save_has_the_values_of_the_call(tmp_path):
    model = on_gpu("lora")
    train(model)
    expected = {key: tensor.clone() for key, tensor in peft.get_peft_model_state_dict(model).items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        pending = ferrule.peft.save_pretrained(model, tmp_path / "out", asynchronous=True)
        train(model)
    pending.wait()
    saved = load_file(tmp_path / "out" / "adapter_model.safetensors", device="cuda")
    assert all(torch.equal(saved[key], expected[key]) for key in expected)


def trained(folder, callbacks, **changes):
    torch.manual_seed(0)
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"],
                                                         task_type="CAUSAL_LM"))
    settings = dict(output_dir=str(folder), per_device_train_batch_size=2, max_steps=4, save_steps=2,
                    save_strategy="steps", learning_rate=0.05, report_to=[], disable_tqdm=True, seed=0, bf16=True)
    trainer = transformers.Trainer(model=model, args=transformers.TrainingArguments(**{**settings, **changes}),
                                   train_dataset=Tokens(), callbacks=callbacks)
    trainer.train(resume_from_checkpoint=changes.get("max_steps", 4) > 4)
    return trainer


def test_the_trainer_on_a_gpu(tmp_path):
    trained(tmp_path / "stock", [])
    ours = trained(tmp_path / "ours", [ferrule.peft.AsyncSaveCallback()])
    assert next(ours.model.parameters()).is_cuda
    for step in (2, 4):
        name = f"checkpoint-{step}"
        expected = load_file(tmp_path / "stock" / name / "adapter_model.safetensors")
        found = load_file(tmp_path / "ours" / name / "adapter_model.safetensors")
        assert list(found) == list(expected)
        assert all(torch.allclose(found[key], expected[key], atol=1e-5) for key in expected)
        assert len(ferrule.open(tmp_path / "ours" / name).modules) == 4
    trained(tmp_path / "ours", [ferrule.peft.AsyncSaveCallback()], max_steps=6)
    assert (tmp_path / "ours" / "checkpoint-6" / "adapter_model.safetensors").exists()
