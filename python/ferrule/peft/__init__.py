# SPDX-License-Identifier: Apache-2.0
"""PEFT's save and load through Ferrule."""

from .._pending import PendingSave, wait_for
from ._save import save_pretrained

__all__ = ["PendingSave", "save_pretrained", "wait_for"]
