#!/usr/bin/env python3
"""Writes the files beside it with PyTorch: what people save, and what must be refused. The tests know their values."""
import argparse
import collections
import os

import numpy
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))


def rising(*shape, dtype=torch.float32, start=0):
    return (torch.arange(torch.Size(shape).numel()) + start).reshape(shape).to(dtype)


network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2, bias=False), torch.nn.BatchNorm2d(2))
network[0].weight.data = rising(2, 1, 2, 2)
plain = network.state_dict()
torch.save(plain, "plain.pth")
torch.save(plain, "protocol4.pth", pickle_protocol=4)
torch.save(collections.OrderedDict(plain), "old-format.pth", _use_new_zipfile_serialization=False)
torch.save(network, "module.pth")
torch.jit.script(torch.nn.Linear(1, 1)).save("script.pt")

optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
network(torch.ones(2, 1, 3, 3)).sum().backward()
optimizer.step()
network[0].weight.data = rising(2, 1, 2, 2)
torch.save({
    "epoch": 3, "best": numpy.float64(0.5), "arguments": argparse.Namespace(lr=0.1), "seed": 2 ** 70,
    "optimizer": optimizer.state_dict(),
    "state_dict": {"module." + name: value for name, value in network.state_dict().items()},
}, "checkpoint.pth")

base = rising(4, 6)
torch.save({
    "whole": base, "row": base[1], "transposed": base.t(), "block": base[1:3, 2:6:2],
    "channels_last": rising(1, 3, 2, 2).to(memory_format=torch.channels_last),
    "scalar": torch.tensor(7), "empty": torch.zeros(0, 3), "parameter": torch.nn.Parameter(rising(2)),
    "half": rising(3, dtype=torch.float16), "bfloat16": rising(3, dtype=torch.bfloat16),
    "double": rising(2, dtype=torch.float64, start=-1), "bool": torch.tensor([True, False]),
    "uint8": rising(3, dtype=torch.uint8, start=253), "int8": rising(2, dtype=torch.int8, start=-2),
    "int16": rising(2, dtype=torch.int16, start=-300), "int32": rising(2, dtype=torch.int32),
    "note": "no tensor",
}, "kinds.pth")


class Malicious:
    def __reduce__(self):
        return os.system, ("touch malicious-was-run",)


torch.save({"weight": rising(2), "extra": Malicious()}, "malicious.pth")
torch.save([rising(2)], "list.pth")
torch.save({"a": {"x": rising(2)}, "b": {"x": rising(2)}}, "ambiguous.pth")
torch.save({"weight": torch.zeros(2, dtype=torch.complex64)}, "complex.pth")
