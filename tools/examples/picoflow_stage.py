"""PicoFlow's links in Python: control, the worker's end of a pool, the follower's end of the log.

Written from Sources/Wire/PROTOCOL.md alone (pyzmq, numpy). One thread: all conversations go on while `pump` is called,
so a ticket must be executed in less than `pool.silence`, or call `pump` itself meanwhile.
"""
import argparse
import hashlib
import json
import os
import resource
import secrets
import signal
import socket
import struct
import time

import numpy as np
import zmq

# Without abbreviations: a stage's own --k would be taken for --key.
parser = argparse.ArgumentParser(
    description="A third-party stage; picoflow launch starts it.", add_help=False, allow_abbrev=False)
for key, convert in dict(control=str, run=str, stage=str, id=int, grace=int, heartbeat=int).items():
    parser.add_argument("--" + key, type=convert, required=True)
parser.add_argument("--key")  # of a host that joined
parser.add_argument("--dataset-root")
options, own_arguments = parser.parse_known_args()
name, incarnation = f"{options.stage}-{options.id}", secrets.token_hex(8)
context, links = zmq.Context(), []
# A signal to every process of the run is the supervisor's to follow: compute may need this stage for its checkpoint.
signal.signal(signal.SIGTERM, signal.SIG_IGN)


def encode(type, body, arrays, epoch, sequence, ticket=None):
    """The frames of a message; `arrays` by name."""
    tensors = [dict(name=n, dtype=str(a.dtype), shape=a.shape, bytes=a.nbytes) for n, a in arrays.items()]
    head = dict(version=1, type=type, run=options.run, sender=name, incarnation=incarnation, epoch=epoch,
                sequence=sequence, tensors=tensors)
    if ticket is not None:
        head["ticket"] = ticket
    return [json.dumps(head).encode(), json.dumps(body).encode(), *map(np.ascontiguousarray, arrays.values())]


def decode(head, body, *raw):
    """Header, body and arrays by name.

    Raises ValueError or KeyError for what is no message of this run.
    """
    head, body = json.loads(head), json.loads(body)
    if head["version"] != 1 or head["run"] != options.run or len(raw) != len(head["tensors"]):
        raise ValueError("not a message of this run")
    pairs = zip(head["tensors"], raw)
    return head, body, {t["name"]: np.frombuffer(frame, t["dtype"]).reshape(t["shape"]) for t, frame in pairs}


class Link:
    """A DEALER to one peer. Every `beat` seconds it says its `pulse`; `handle` takes each message."""

    def __init__(self, endpoint, beat=1.0, separator="/"):
        self.sent, self.epoch, self.beat, self.next, self.heard = 0, 0, beat, 0, time.monotonic()
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt_string(zmq.ROUTING_ID, name + separator + incarnation)
        if endpoint.startswith("tcp://"):
            endpoint = endpoint.replace("tcp://*:", options.control.rpartition(":")[0] + ":")
            if options.key:
                with open(options.key) as file:
                    key = json.load(file)
                self.socket.curve_serverkey, self.socket.curve_publickey, self.socket.curve_secretkey = (
                    key[part].encode() for part in ("server", "public", "secret"))
        self.socket.connect(endpoint)
        links.append(self)

    def send(self, type, body={}, arrays={}, ticket=None):
        self.sent += 1
        try:
            self.socket.send_multipart(encode(type, body, arrays, self.epoch, self.sent, ticket), zmq.DONTWAIT)
        except zmq.Again:
            pass  # the peer does not read; the gap will show

    def tick(self):
        self.send(*self.pulse())

    def leave(self):
        """We are about to end."""

    def lose(self, worker, expected):
        """The supervisor tells of a lost worker; for who consumes a pool."""

    def receive(self, frames):
        try:
            head, body, arrays = decode(*frames)
        except (ValueError, KeyError, TypeError) as error:
            return print(f"dropped a bad frame: {error!r}", flush=True)
        if head["epoch"] >= self.epoch:
            self.handle(head["type"], head, body, arrays)


def pump(wait=True):
    """One round of all conversations: says what is due, then takes what has come; waits for it unless told not to."""
    for link in links:
        if time.monotonic() >= link.next:
            link.next = time.monotonic() + link.beat
            link.tick()
    seconds = max(0, min(link.next for link in links) - time.monotonic()) if wait else 0
    ready = zmq.select([link.socket for link in links], [], [], seconds)[0]
    for link in [link for link in links if link.socket in ready]:
        while link.socket.poll(0):
            link.receive(link.socket.recv_multipart())


class Control(Link):
    """The link to the supervisor. `configuration` is there once it has answered HELLO."""

    def __init__(self, kind, fingerprint):
        super().__init__(options.control, options.heartbeat / 1000, ".")
        self.configuration, self.supervisor, self.is_draining = None, None, False
        self.hello = dict(stage=options.stage, id=options.id, kind=kind, pid=os.getpid(), host=socket.gethostname(),
                          fingerprint=fingerprint)

    def await_configuration(self):
        while self.configuration is None:
            pump()
        return self.configuration

    def pulse(self):
        # Compute may need us for its last step when the supervisor is gone. It says BYE to its pools when it ends.
        serves = any(isinstance(link, Worker) and link.is_joined for link in links)
        grace = options.grace / 1000
        if time.monotonic() - self.heard > grace + (0 if not serves else min(grace, 60) if options.key else 60):
            self.end("supervisorLost", None if self.configuration else f"no answer from {options.control}")
        if self.configuration is None:
            return "hello", self.hello
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return "heartbeat", dict(state="running", metrics=dict(
            uptimeSeconds=time.monotonic(), cpuSeconds=usage.ru_utime + usage.ru_stime))

    def handle(self, kind, head, body, arrays):
        if self.supervisor not in (None, head["incarnation"]):
            self.send("hello", self.hello)  # another supervisor took the run over
        self.supervisor, self.heard = head["incarnation"], time.monotonic()
        if kind == "configuration" and self.configuration is None:
            self.configuration, self.epoch = body, body["epoch"]
        elif kind == "refused":
            self.end("failed", body["message"])
        elif kind == "command":
            if body["name"] == "stop":
                self.end("stopped")
            self.is_draining |= body["name"] == "drain"
            if body["name"] in ("expectLoss", "workerLost"):
                for link in links:
                    link.lose(body["worker"], body["name"] == "expectLoss")

    def end(self, reason, failure=None):
        """Takes leave of everybody and ends the process."""
        for link in links:
            link.leave()
        if failure:
            self.send("event", dict(kind="failed", message=" ".join(failure.split())))
        self.send("bye", dict(reason=reason))
        context.destroy(linger=1000)
        raise SystemExit(failure or (1 if reason == "supervisorLost" else None))


class Worker(Link):
    """Our end of a pool: the chapter "The worker, state by state"."""

    def __init__(self, control, endpoint, credit):
        super().__init__(endpoint)
        self.control, self.credit, self.silence = control, credit, 10.0
        # Where this program came in by a swap: whose tickets it executes.
        self.generation = control.configuration.get("generation", 0)
        self.session, self.consumer, self.expected, self.executing = 0, None, 0, set()
        self.join()

    def join(self):
        self.session, self.is_joined, self.queue, self.next = self.session + 1, False, {}, 0

    def leave(self):
        self.send("bye")

    def pulse(self):
        if self.is_joined and time.monotonic() - self.heard >= self.silence:
            self.join()
        executing = sorted(self.executing)
        if self.is_joined:
            return "heartbeat", dict(executing=executing)
        return "ready", dict(credit=self.credit, executing=executing, generation=self.generation, session=self.session)

    def handle(self, kind, head, body, arrays):
        if kind == "refused":
            self.control.end("failed", body["reason"])
        if head["epoch"] > self.epoch or kind == "welcome" and head["incarnation"] != self.consumer:
            self.epoch, self.queue, self.executing = head["epoch"], {}, set()  # what was begun is void
        if not self.is_joined:
            if kind == "welcome" and body["session"] == self.session:
                if head["sequence"] != 1:
                    return self.join()
                self.is_joined, self.consumer, self.expected = True, head["incarnation"], 2
                self.heard = time.monotonic()
                self.beat, self.silence = body["heartbeatMilliseconds"] / 1000, body["silenceMilliseconds"] / 1000
        elif kind in ("again", "bye") or head["incarnation"] != self.consumer or head["sequence"] > self.expected:
            self.join()
        elif head["sequence"] == self.expected:
            self.expected, self.heard = self.expected + 1, time.monotonic()
            if kind == "ticket" and head["ticket"] in self.executing:
                self.send("start", ticket=head["ticket"])
            elif kind == "ticket":
                self.queue[head["ticket"]] = (body, arrays)
            elif kind == "drain":
                self.control.is_draining = True

    def execute(self, ticket, function):
        """Has `function(body, arrays)` give a queued ticket's result: a body and arrays."""
        body, arrays = self.queue.pop(ticket)
        self.executing.add(ticket)
        self.send("start", ticket=ticket)
        try:
            answer, result, kind = *function(body, arrays), "result"
        except Exception as error:
            text = str(error) if type(error) is RuntimeError else repr(error)
            answer, result, kind = dict(error=" ".join(text.split())), {}, "failed"
        if ticket in self.executing:  # not cancelled meanwhile
            self.executing.remove(ticket)
            self.send(kind, answer, result, ticket)


class Cancelled(Exception):
    """The ticket in hand is void: its epoch has ended, or another process has it."""


class Follower(Link):
    """Our end of the log: a copy of the bank's state at `position`, never ahead of what is asked for.

    What is copied is a subclass's business: `restore(parts)` takes a snapshot's payloads, `apply(arrays)` a record's.
    """

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self.position, self.bank, self.request, self.pings, self.question, self.answer = None, None, 0, 0, None, None

    def pulse(self):  # its answer tells whether a question has arrived
        self.pings += 1
        return "log.ping", dict(ping=self.pings)

    def handle(self, kind, head, body, arrays):
        if self.bank != head["incarnation"] or head["epoch"] > self.epoch:
            self.bank, self.epoch, self.position = head["incarnation"], max(self.epoch, head["epoch"]), None
        if kind == "log.pong":
            is_waiting = body["request"] == self.request and body["parked"]
            if self.question and body["ping"] == self.pings and self.asked_before_ping and not is_waiting:
                self.repeat()
            self.asked_before_ping = True
        elif self.question and body["request"] == self.request:
            self.question, self.answer = None, (kind, head, body, arrays)

    def repeat(self):
        self.request, self.asked_before_ping = self.request + 1, False
        self.send(self.question[0], dict(self.question[1], request=self.request))

    def ask(self, is_wanted, kind, **body):
        self.question, self.answer = (kind, body), None
        self.repeat()
        while self.answer is None:
            pump()
            if not is_wanted():
                raise Cancelled
        return self.answer

    def reach(self, epoch, sequence, is_wanted):
        """Brings the copy to exactly this sequence; `is_wanted` says whether anybody still waits for it."""
        if epoch > self.epoch:
            self.epoch, self.position = epoch, None
        while self.position != sequence:
            if self.position is None or self.position > sequence:
                self.fetch_snapshot(sequence, is_wanted)
                continue
            kind, head, body, arrays = self.ask(is_wanted, "log.records", **{"from": self.position + 1}, count=1)
            if kind == "log.record" and self.position is not None:
                chain = hashlib.sha256(self.chain.encode() + payload(head, body, arrays)).hexdigest()
                if chain == body["hash"]:
                    self.apply(arrays)
                    self.position, self.chain = body["sequence"], chain
                    continue
            self.position = None  # the bank has gone on without us, or begun anew

    def fetch_snapshot(self, newest, is_wanted):
        kind, _, snapshot, _ = self.ask(is_wanted, "log.follow", newest=newest)
        if kind == "log.refused":
            raise RuntimeError(snapshot["message"])
        parts, digest = [], hashlib.sha256()
        for index in range(snapshot["parts"]):
            kind, head, body, arrays = self.ask(is_wanted, "log.part", sequence=snapshot["sequence"], index=index)
            if kind == "log.refused":
                return
            digest.update(payload(head, body, arrays))
            parts.append((json.loads(body["payload"]), arrays))
        if digest.hexdigest() == snapshot["digest"]:
            self.restore(parts)
            self.position, self.chain = snapshot["sequence"], snapshot["hash"]


def payload(head, body, arrays):
    """The bytes of a log payload, as its hash has them."""
    keys, text = ("bytes", "dtype", "name", "shape"), body["payload"].encode()
    table = [{key: tensor[key] for key in keys} for tensor in head["tensors"]]
    table = json.dumps(table, separators=(",", ":")).encode()
    data = [arrays[tensor["name"]].tobytes() for tensor in head["tensors"]]
    return b"".join([struct.pack("<I", len(table)), table, struct.pack("<I", len(text)), text, *data])


def work(control, next_ticket):
    """Executes what `next_ticket()` gives, (worker, ticket, function), until the run ends or wants no more of us."""
    while not control.is_draining:
        found = next_ticket()
        if found:
            worker, ticket, function = found
            worker.execute(ticket, function)
        pump(wait=not found)
    control.end("drained")
