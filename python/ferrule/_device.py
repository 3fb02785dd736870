# SPDX-License-Identifier: Apache-2.0
"""Tensors on their way between devices and the host."""

from __future__ import annotations

import torch


def to_host(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Copies tensors of devices to the host, contiguous, through one buffer.

    The buffer is pinned if the tensors are CUDA's, so that the copies run one after the other
    without waiting; there is one wait at the end.
    """
    offsets, total = [], 0
    for tensor in tensors:
        offsets.append(total)
        # 64: any element is aligned there, whatever comes first.
        total += (tensor.numel() * tensor.element_size() + 63) // 64 * 64
    pin = all(tensor.device.type == "cuda" for tensor in tensors)
    buffer = torch.empty(total, dtype=torch.uint8, device="cpu", pin_memory=pin)
    copies = []
    with torch.no_grad():
        for tensor, offset in zip(tensors, offsets):
            size = tensor.numel() * tensor.element_size()
            copy = buffer[offset : offset + size].view(tensor.dtype).view(tensor.shape)
            copies.append(copy.copy_(tensor.detach(), non_blocking=pin))
    if pin:
        for device in {tensor.device for tensor in tensors}:
            torch.cuda.synchronize(device)
    return copies
