#!/usr/bin/env python3
"""CutOut as a stage between loader and compute: a hole in each sample, its labels ignored.

    cutout:  {kind: loader, samples: loader, exec: [python3, tools/examples/cutout.py]}
    compute: {samples: cutout, …}

Neither neighbour knows of it: to compute it is a loader, to the loaders it is compute. A ticket's body goes upstream as
it is, under an id of our own. The hole is drawn from the ticket's seed and this stage's name, so whichever replica cuts
it, it is the same.
"""
import argparse
import hashlib

import numpy as np

from picoflow_consumer import Consumer
from picoflow_stage import Control, Worker, options, own_arguments, work

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--size", type=float, default=0.4, help="the hole's side as a part of the crop's shorter one")
size = parser.parse_args(own_arguments).size


def cut(seed, padding, image, label):
    """The sample with a square hole: its pixels are the ticket's padding, its labels 255, which is ignored."""
    stage = int.from_bytes(hashlib.sha256(options.stage.encode()).digest()[:8], "big")
    draws = np.random.default_rng([seed, stage])
    side = int(size * min(label.shape))
    y, x = (draws.integers(length - side + 1) for length in label.shape)
    image, label = image.copy(), label.copy()
    image[y:y + side, x:x + side] = padding
    label[y:y + side, x:x + side] = 255
    return dict(image=image, label=label)


def fingerprint():
    """Replicas that cut otherwise than this one, by another size for instance, are refused."""
    sample = cut(1, [1, 2, 3], np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8))
    hash = hashlib.sha256(sample["image"].tobytes() + sample["label"].tobytes()).hexdigest()
    return dict(versions=dict(numpy=np.__version__), hash=hash)


def main():
    control = Control("loader", fingerprint())
    configuration = control.await_configuration()
    endpoints, pool = configuration["endpoints"], configuration["pool"]
    upstream = Consumer(
        endpoints["upstream"][0], pool["heartbeatMilliseconds"] / 1000, pool["silenceMilliseconds"] / 1000)
    # Enough in hand to keep some loaders busy.
    workers = [Worker(control, endpoint, credit=8) for endpoint in endpoints["samples"]]
    asked = {}  # what we ask upstream for a ticket of ours: (worker, ticket) to the upstream ticket

    def next_ticket():
        if (epoch := max(worker.epoch for worker in workers)) > upstream.epoch:
            upstream.begin(epoch)
            asked.clear()
        held = {(worker, ticket): worker.queue[ticket][0] for worker in workers for ticket in worker.queue}
        for key in set(asked) - set(held):
            upstream.forget(asked.pop(key))
        for key in sorted(set(held) - set(asked), key=lambda key: key[1]):
            asked[key] = upstream.issue(held[key])
        upstream.assign()
        ready = [key for key in asked if asked[key] in upstream.results]
        if not ready:
            return None
        worker, ticket = min(ready, key=lambda key: asked[key])

        def execute(body, _):
            outcome = upstream.results[asked[worker, ticket]]
            if isinstance(outcome, Exception):
                raise outcome
            report, sample = outcome
            return report, cut(body["seed"], body["padding"], sample["image"], sample["label"])
        return worker, ticket, execute

    work(control, next_ticket)


if __name__ == "__main__":
    main()
