# SPDX-License-Identifier: Apache-2.0
"""transformers' Trainer with asynchronous saves."""

import threading

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

import ferrule.peft
from ferrule import _pending
from ferrule.peft import _save
from models import Tokens, clean, llama  # noqa: F401


def trainer(folder, callbacks, **arguments):
    torch.manual_seed(0)
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"],
                                                         task_type="CAUSAL_LM"))
    settings = dict(output_dir=str(folder), per_device_train_batch_size=2, max_steps=6, save_steps=2, eval_steps=2,
                    save_strategy="steps", eval_strategy="steps", save_total_limit=1, load_best_model_at_end=True,
                    metric_for_best_model="loss", learning_rate=0.05, report_to=[], disable_tqdm=True, use_cpu=True,
                    logging_steps=1000, seed=0)
    return transformers.Trainer(model=model, args=transformers.TrainingArguments(**{**settings, **arguments}),
                                train_dataset=Tokens(), eval_dataset=Tokens(), callbacks=callbacks)


@pytest.fixture
def slow(monkeypatch):
    """Writes that take long enough for the Trainer to run into them."""
    submit = _pending.submit
    directories = []

    def slowly(directory, work):
        directories.append(directory)

        def later():
            threading.Event().wait(0.3)
            work()

        return submit(directory, later)

    monkeypatch.setattr(_save._pending, "submit", slowly)
    return directories


def adapter(model):
    return {key: value.clone() for key, value in peft.get_peft_model_state_dict(model).items()}


def test_rotation_and_the_best_model_meet_complete_checkpoints(slow, tmp_path, caplog):
    reference = trainer(tmp_path / "stock", [])
    reference.train()
    ours = trainer(tmp_path / "ours", [ferrule.peft.AsyncSaveCallback()])
    ours.train()
    assert len(slow) == 3
    assert "Could not locate the best model" not in caplog.text
    assert not _pending._registry.saves

    stock = sorted(path.relative_to(tmp_path / "stock") for path in (tmp_path / "stock").rglob("*"))
    assert sorted(path.relative_to(tmp_path / "ours") for path in (tmp_path / "ours").rglob("*")) == stock
    expected, found = adapter(reference.model), adapter(ours.model)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    checkpoint, = (tmp_path / "ours").glob("checkpoint-*")
    weights = load_file(checkpoint / "adapter_model.safetensors")
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_the_model_is_its_own_again_after_training(slow, tmp_path):
    ours = trainer(tmp_path, [ferrule.peft.AsyncSaveCallback()])
    ours.train()
    assert "save_pretrained" not in vars(ours.model)
    ours.save_model(str(tmp_path / "final"))
    assert len(slow) == 3  # The last one was not asynchronous.
    assert (tmp_path / "final" / "adapter_model.safetensors").exists()


def test_a_training_goes_on_from_a_checkpoint(slow, tmp_path):
    trainer(tmp_path, [ferrule.peft.AsyncSaveCallback()], save_total_limit=None, max_steps=4).train()
    again = trainer(tmp_path, [ferrule.peft.AsyncSaveCallback()], save_total_limit=None)
    again.train(resume_from_checkpoint=True)
    assert (tmp_path / "checkpoint-6" / "adapter_model.safetensors").exists()
    trainer(tmp_path / "stock", [], save_total_limit=None, max_steps=4).train()
    stock = trainer(tmp_path / "stock", [], save_total_limit=None)
    stock.train(resume_from_checkpoint=True)
    expected, found = adapter(stock.model), adapter(again.model)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_an_error_ends_the_training(tmp_path):
    ours = trainer(tmp_path, [ferrule.peft.AsyncSaveCallback()])
    ours.model.peft_config["default"].r = 99
    with pytest.raises(ferrule.CorruptError, match="AD-5"):
        ours.train()


def test_by_patch_alone_the_trainer_saves_natively(tmp_path):
    ferrule.peft.patch(native=True)
    ours = trainer(tmp_path, [])
    ours.train()
    checkpoint, = tmp_path.glob("checkpoint-*")
    assert len(ferrule.open(checkpoint).modules) == 4


def test_a_model_without_adapters_is_named(tmp_path):
    args = transformers.TrainingArguments(output_dir=str(tmp_path), report_to=[], use_cpu=True, max_steps=1)
    plain = transformers.Trainer(model=llama(), args=args, train_dataset=Tokens(),
                                 callbacks=[ferrule.peft.AsyncSaveCallback()])
    with pytest.raises(TypeError, match="model must be a PeftModel"):
        plain.train()
