#!/usr/bin/env python3
"""A miner in Python (pyzmq, numpy), written from Sources/Wire/PROTOCOL.md alone; a topology names it by `exec`.

This file is all that is a miner's: the memory and the loss. The links' conversations, which any stage has, are in
picoflow_stage.py beside it. Loss and gradient are picoflow-miner's. Draws are numpy's, keyed by the ticket's seed and
the anchor: other ones than picoflow-miner's, the same every time.
"""
import hashlib
import struct

import numpy as np

from picoflow_stage import Cancelled, Control, Follower, Worker, work


class Memory(Follower):
    """A copy of the bank's memory: `rows[class, part]`, of which the first `filled[class, part]` count."""

    def restore(self, parts):
        blob = b"".join(arrays["bytes"].tobytes() for body, arrays in parts if body["kind"] == "memory")
        self.classes, width, *capacity, _ = struct.unpack_from("<5I", blob, 8)
        counts, offset = np.frombuffer(blob, "<u4", 2 * self.classes, 28), 28 + 8 * self.classes
        self.rows, self.filled = {}, {}
        for index, count in enumerate(counts.tolist()):
            key = divmod(index, 2)
            self.rows[key], self.filled[key] = np.empty((capacity[key[1]], width), np.float32), count
            self.rows[key][:count] = np.frombuffer(blob, "<f4", count * width, offset).reshape(count, width)
            offset += 4 * count * width

    def apply(self, arrays):
        for c, part, slot, row, _ in arrays["writes"].tolist():
            self.rows[c, part][slot] = arrays["rows"][row]
            self.filled[c, part] = max(self.filled[c, part], slot + 1)

    def candidates(self, classes, limit, seed):
        """All entries of some classes in the canonical order, or a random `limit` of each class."""
        found = [np.empty((0, self.rows[0, 0].shape[1]), np.float32)]
        for c in classes:
            entries = np.concatenate([self.rows[c, part][:self.filled[c, part]] for part in (0, 1)])
            if limit is not None and limit < len(entries):
                entries = entries[np.sort(np.random.default_rng([seed, c]).choice(len(entries), limit, replace=False))]
            found.append(entries)
        return np.concatenate(found)


class Batch:
    """The mini-batch's own keys, which a ticket brings where the run keeps no memory."""

    candidates = Memory.candidates

    def __init__(self, arrays, classes):
        self.classes, self.rows, self.filled = classes, {}, {}
        for part, name in enumerate(("batchPixel", "batchRegion")):
            for c in range(classes):
                self.rows[c, part] = arrays[name + "s"][arrays[name + "Classes"] == c]
                self.filled[c, part] = len(self.rows[c, part])


def draw(rng, sampler, count, distances):
    """`count` without replacement from the strategy's pool, which holds the smallest `distances`; ties by slot."""
    size = dict(random=len(distances), hardest=min(count, len(distances))).get(
        sampler["strategy"], max(1, int(np.float32(len(distances)) * np.float32(sampler["pool"]))))
    pool = np.argsort(distances, kind="stable")[:size]
    return np.sort(pool if count >= size else rng.choice(pool, count, replace=False))


def synthesise(rng, settings, anchor, negatives):
    """PiCo+: mixtures of the hardest negatives with each other and with the anchor."""
    hard = negatives[np.argsort(-(negatives @ anchor), kind="stable")[:settings["hardest"]]]
    i, mixes = rng.integers(len(hard), size=settings["pairs"]), []
    if len(hard) > 1:
        a, j = rng.random((len(i), 1)), (i + rng.integers(1, len(hard), size=len(i))) % len(hard)
        mixes.append(a * hard[i] + (1 - a) * hard[j])
    b, j = rng.random((settings["anchorMixes"], 1)) / 2, rng.integers(len(hard), size=settings["anchorMixes"])
    rows = np.concatenate([*mixes, b * anchor + (1 - b) * hard[j]])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / length)[length[:, 0] > 1e-6].astype(np.float32)


def mine(ticket, anchors, pixels, memory):
    """The summed loss of one class's anchors, and its gradient; the formulas are PROTOCOL.md's."""
    sampler, t, mixing = ticket["sampler"], ticket["temperature"], ticket["synthesis"]
    others = [c for c in range(memory.classes) if c != ticket["class"]]
    own, others = (memory.candidates(c, sampler.get("candidates"), ticket["seed"]) for c in ([ticket["class"]], others))
    gradient, losses, near, far = np.zeros(anchors.shape, np.float32), [], [], []
    usable = min(len(own), len(others), sampler["positives"], sampler["negatives"]) > 0
    for index, anchor in enumerate(anchors if usable else []):
        rng = np.random.default_rng([ticket["seed"], int(pixels[index])])
        positives = own[draw(rng, sampler, sampler["positives"], own @ anchor)]
        negatives = others[draw(rng, sampler, sampler["negatives"], -(others @ anchor))]
        if mixing["enabled"] and mixing["hardest"] > 0:
            negatives = np.concatenate([negatives, synthesise(rng, mixing, anchor, negatives)])
        p, n = ((rows @ anchor).astype(np.float64) for rows in (positives, negatives))
        e = np.exp((n - n.max()) / t)
        margin = n.max() / t + np.log(e.sum()) - p / t  # L_i is the mean of log(1 + exp(margin))
        pull = 1 / (1 + np.exp(-margin))
        gradient[index] = (pull.mean() * e / e.sum() @ negatives - pull / len(p) @ positives) / t
        losses, near, far = losses + [np.logaddexp(0, margin).mean()], near + [p.mean()], far + [n.mean()]
    count = max(1, len(losses))
    return dict(loss=sum(losses), contributing=len(losses), skipped=len(anchors) - len(losses),
                positiveSimilarity=sum(near) / count, negativeSimilarity=sum(far) / count), dict(gradient=gradient)


def main():
    probe = np.sin(np.arange(4096, dtype=np.float32).reshape(64, 64))
    check = hashlib.sha256(np.exp(probe @ probe.T / 64).tobytes()).hexdigest()
    control = Control("miner", dict(versions=dict(numpy=np.__version__), hash=check))
    configuration = control.await_configuration()
    endpoints, classes = configuration["endpoints"], len(configuration["dataset"]["classes"])
    memory = Memory(endpoints["memory"][0]) if endpoints["memory"] else None
    if memory:  # no step waits for who still copies
        try:
            memory.fetch_snapshot(2**63 - 1, lambda: not control.is_draining)
        except Cancelled:
            control.end("drained")
    workers = [Worker(control, e, credit=2) for e in endpoints["mining"]]

    def next_ticket():
        found = [(w.queue[t][0].get("memory", 0), t, w) for w in workers for t in w.queue]
        if not found:
            return None
        _, ticket, worker = min(found, key=lambda f: f[:2])  # the log is followed forwards

        def execute(body, arrays):
            if "memory" not in body:
                return mine(body, arrays["anchors"], arrays["pixels"], Batch(arrays, classes))
            memory.reach(worker.epoch, body["memory"], lambda: ticket in worker.executing)
            return mine(body, arrays["anchors"], arrays["pixels"], memory)
        return worker, ticket, execute

    work(control, next_ticket)


if __name__ == "__main__":
    main()
