"""The consumer's end of a PicoFlow pool in Python, for a stage that has others work for it.

Written from Sources/Wire/PROTOCOL.md alone, chapter "The consumer, event by event"; see picoflow_stage.py.
"""
import time

import zmq

from picoflow_stage import context, decode, encode, links


class Peer:
    """A worker that has joined."""

    def __init__(self, sender, session, credit, expected, executing):
        self.sender, self.session, self.credit, self.expected = sender, session, credit, expected
        self.sent, self.holds, self.executing, self.heard = 0, set(), set(executing), time.monotonic()


class Consumer:
    """Hands out what is `issue`d; what becomes of it lies in `results` by ticket: body and arrays, or an exception."""

    deaths = 3  # that one ticket may cause before it counts as the culprit

    def __init__(self, endpoint, beat, silence):
        self.epoch, self.beat, self.silence, self.next = 0, beat, silence, 0
        # Above all that an earlier start of this stage gave out in this epoch: somebody may still answer those.
        self.issued = time.time_ns() // 1000
        self.given = {}  # by ticket: the workers that ever got it
        self.peers, self.bad, self.announced = {}, {}, set()
        self.waiting, self.bodies, self.blamed, self.results = set(), {}, {}, {}
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.bind(endpoint)
        links.append(self)

    # Tickets

    def issue(self, body):
        self.issued += 1
        self.bodies[self.issued] = body
        self.waiting.add(self.issued)
        return self.issued

    def forget(self, ticket):
        for table in (self.bodies, self.blamed, self.results, self.given):
            table.pop(ticket, None)
        self.waiting.discard(ticket)

    def begin(self, epoch):
        """All tickets of older epochs are void."""
        self.epoch = epoch
        for ticket in list(self.bodies):
            self.forget(ticket)
        for identity, peer in list(self.peers.items()):
            peer.holds, peer.executing = set(), set()
            self.send(identity, "reset")

    def assign(self):
        """Waiting tickets, lowest first, to the worker that holds fewest; one that is blamed for a death goes alone."""
        for ticket in sorted(self.waiting):
            free = [(len(p.holds), i) for i, p in self.peers.items() if len(p.holds) < p.credit
                    and not any(t in self.blamed for t in p.holds)
                    and not (ticket in self.blamed and (p.holds or p.executing))]
            if free:
                identity = min(free)[1]
                self.peers[identity].holds.add(ticket)
                self.waiting.discard(ticket)
                self.given.setdefault(ticket, set()).add(identity)
                self.send(identity, "ticket", self.bodies[ticket], ticket)

    def take_back(self, peer, blame=False):
        for ticket in peer.holds & set(self.bodies):
            if blame and ticket in peer.executing:
                self.blamed[ticket] = self.blamed.get(ticket, 0) + 1
            if self.blamed.get(ticket, 0) >= self.deaths:
                self.results[ticket] = RuntimeError(f"{self.deaths} workers died of {self.bodies[ticket]}")
            else:
                self.waiting.add(ticket)
        peer.holds, peer.executing = set(), set()

    def drop(self, identity, blame):
        self.take_back(peer := self.peers.pop(identity), blame and peer.sender not in self.announced)
        self.announced.discard(peer.sender)

    def lose(self, worker, expected):
        """The supervisor tells of a loss to come (expected), or of one that has happened."""
        if expected:
            return self.announced.add(worker)
        for identity in [i for i, p in self.peers.items() if p.sender == worker]:
            self.drop(identity, blame=True)
        self.announced.discard(worker)
        self.assign()

    # Messages

    def send(self, identity, type, body={}, ticket=None):
        peer = self.peers.get(identity)
        if peer:
            peer.sent += 1
        frames = encode(type, body, {}, self.epoch, peer.sent if peer else 0, ticket)
        try:
            self.socket.send_multipart([identity, *frames], zmq.DONTWAIT)
        except zmq.ZMQError:  # not routable, or its queue is full: either way it is gone for us
            if peer and identity in self.peers:
                self.drop(identity, blame=True)

    def leave(self):
        for identity in list(self.peers):
            self.send(identity, "bye")

    def tick(self):
        now = time.monotonic()
        for identity, peer in list(self.peers.items()):
            if now - peer.heard >= self.silence:
                self.drop(identity, blame=False)  # it may only stand still; the supervisor tells of deaths
            else:
                self.send(identity, "heartbeat")
        self.assign()

    def receive(self, frames):
        identity, *frames = frames
        if self.bad.get(identity, 0) >= 16:
            return
        try:
            head, body, arrays = decode(*frames)
            self.handle(identity, head["type"], head, body, arrays)
        except (ValueError, KeyError, TypeError) as error:
            self.bad[identity] = self.bad.get(identity, 0) + 1
            print(f"dropped a bad frame: {error!r}", flush=True)

    def handle(self, identity, kind, head, body, arrays):
        peer, ticket = self.peers.get(identity), head.get("ticket")
        if kind == "ready" and (peer is None or body["session"] > peer.session):
            for other in [i for i, p in self.peers.items() if i == identity or p.sender == head["sender"]]:
                self.drop(other, blame=other != identity)
            self.peers[identity] = peer = Peer(
                head["sender"], int(body["session"]), int(body["credit"]), head["sequence"], body["executing"])
        if peer is None:
            if (kind == "result" and head["epoch"] == self.epoch and ticket in self.waiting
                    and identity in self.given.get(ticket, ())):
                self.finish(ticket, (body, arrays))
            if kind != "bye":
                self.send(identity, "again", dict(reason="this consumer does not know you"))
            return
        if head["sequence"] > peer.expected:
            self.drop(identity, blame=False)
            return self.send(identity, "again", dict(reason="messages of yours were lost"))
        if head["sequence"] < peer.expected:
            return
        peer.expected, peer.heard = peer.expected + 1, time.monotonic()
        if kind == "ready" and body["session"] == peer.session:
            times = dict(heartbeatMilliseconds=int(1000 * self.beat), silenceMilliseconds=int(1000 * self.silence))
            self.send(identity, "welcome", dict(session=peer.session, **times))
        elif kind == "heartbeat":
            peer.executing = set(body["executing"])
        elif kind == "start":
            peer.executing.add(ticket)
        elif kind in ("result", "failed"):
            peer.holds.discard(ticket)
            peer.executing.discard(ticket)
            if (head["epoch"] == self.epoch and ticket in self.bodies
                    and identity in self.given.get(ticket, ())):
                self.finish(ticket, (body, arrays) if kind == "result" else RuntimeError(body["error"]))
        elif kind == "drain":
            peer.credit = 0
            back = peer.holds - peer.executing
            self.waiting |= back & set(self.bodies)
            peer.holds -= back
        elif kind == "bye":
            self.drop(identity, blame=False)
        self.assign()

    def finish(self, ticket, result):
        self.waiting.discard(ticket)
        self.results.setdefault(ticket, result)
