# SPDX-License-Identifier: Apache-2.0
"""pytest plugin of tools/peft_suite/run.py: which of PEFT's tests run, and through whom they save."""

import os
import re
import sys
import zlib
from pathlib import Path

#: Tests of these names save or load, in whole or on their way.
_SAVES = re.compile(r"save|load|pretrained|safetensors|pickle|state_dict|hotswap|device_map|config|convert|conversion"
                    r"|card|version|dtype|projection|xlora|tied|tying")
#: Files with hundreds of tests of one kind: of those one in so many is the choice. Of other files it is one in three.
_LARGE = {"test_custom_models.py": 60, "test_decoder_models.py": 36, "test_seq_classifier.py": 24,
          "test_feature_extraction_models.py": 24, "test_config.py": 8, "test_encoder_decoder_models.py": 80,
          "test_initialization.py": 6}
#: Tests that fail without Ferrule, too: what they want of the Hub is not in the models made here. --all runs them.
_NEED_THE_HUB = re.compile(r"from_pretrained_cache_dir|mixtral_(v4|save_load)|qwen_v4|save_and_load_base_model_revision|stable_diffusion"
                           r"|low_cpu_mem_usage_with_weight_conversion|weight_tying_applied_when_model_is_tied|save_pretrained_auto")
#: Large models or hardware of a kind that no test machine has.
_LEFT_OUT = {"test_gpu_examples.py", "test_common_gpu.py", "test_stablediffusion.py", "test_gptqmodel.py",
             "test_lora_megatron.py", "test_vision_models.py", "test_quantization.py"}


class _EveryName(dict):
    """PEFT's tests ask the Hub once for each model, unless it is noted here."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return 1

    def get(self, key, default=None):
        return 1


def pytest_configure(config):
    if os.environ.get("FERRULE_SUITE_NATIVE"):
        import ferrule.peft

        ferrule.peft.patch(native=True)


def pytest_ignore_collect(collection_path, config):
    return True if collection_path.name in _LEFT_OUT else None


def pytest_collection(session):
    sys.path.insert(0, os.getcwd())
    import tests.testing_utils

    tests.testing_utils._HUB_MODEL_ACCESSES = _EveryName()


def pytest_pycollect_makeitem(collector, name, obj):
    """What is not chosen by its name is not collected: most of these tests are made in hundreds of kinds."""
    chosen = _SAVES.search(name) and (os.environ.get("FERRULE_SUITE_ALL") or not _NEED_THE_HUB.search(name))
    return [] if name.startswith("test") and not chosen else None


def _is_chosen(item):
    name = item.nodeid.partition("::")[0].rpartition("/")[2]
    if not _SAVES.search(item.name.partition("[")[0]):
        return False
    if os.environ.get("FERRULE_SUITE_ALL"):
        return True
    return zlib.crc32(item.nodeid.encode()) % _LARGE.get(name, 3) == 0


def pytest_collection_modifyitems(config, items):
    only = os.environ.get("FERRULE_SUITE_ONLY")
    if only:
        wanted = set(Path(only).read_text().splitlines())
        items[:] = [item for item in items if item.nodeid in wanted]
    else:
        items[:] = [item for item in items if _is_chosen(item)]
