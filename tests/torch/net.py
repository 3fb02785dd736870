# SPDX-License-Identifier: Apache-2.0
"""The model of net.hpp, in Python."""

import torch

WIDTH, WORDS = 12, 10


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.q_proj = torch.nn.Linear(width, 2 * width, bias=False)
        self.v_proj = torch.nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.v_proj(torch.tanh(self.q_proj(x)))


class Net(torch.nn.Module):
    def __init__(self, kind=""):
        super().__init__()
        self.embed = torch.nn.Embedding(WORDS, WIDTH)
        self.conv1 = torch.nn.Conv1d(WIDTH, WIDTH, 3, padding=1)
        self.conv2 = torch.nn.Conv2d(1, 8, (3, 5), padding=(1, 2))
        self.point = torch.nn.Conv2d(8, 4, 1, bias=False)
        self.grouped = torch.nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.layers = torch.nn.ModuleList([Block(WIDTH) for _ in range(2)])
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.head = torch.nn.Linear(WIDTH, WORDS)
        if kind == "shared":
            self.layers[1] = self.layers[0]
        if kind == "tied":
            self.head.weight = self.embed.weight

    def forward(self, words):
        x = self.embed(words)
        x = x + self.conv1(x.transpose(1, 2)).transpose(1, 2)
        plane = self.grouped(self.point(torch.relu(self.conv2(x.unsqueeze(1)))))
        x = x + plane.mean(1)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))
