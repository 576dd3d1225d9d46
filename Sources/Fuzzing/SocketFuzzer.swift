import Basics
import Foundation

/// The bad peers of one socket, one after another and some at a time.
struct SocketFuzzer {
    struct Outcome: Sendable {
        /// Whole messages that were written.
        var messages = 0
        var connections = 0
        /// Connections that the other side refused or closed before all was written, which some deserve.
        var closed = 0
        /// Messages and connections of each malice.
        var byMalice: [Malice: Int] = [:]
        /// Why it stopped early.
        var trouble: String?
    }

    private let path: String
    private var forge: FrameForge
    private var outcome = Outcome()
    /// Connections stay open for a while: what a closed one has sent may be thrown away unread.
    private var open: ArraySlice<RawPeer> = []
    /// Those that never say hello, kept longer.
    private var halfOpen: ArraySlice<RawPeer> = []

    init(path: String, forge: FrameForge) {
        self.path = path
        self.forge = forge
    }

    mutating func run(messages: Int, until deadline: ContinuousClock.Instant, progress: (Int) -> Void) -> Outcome {
        while outcome.messages < messages {
            guard ContinuousClock.now < deadline else {
                outcome.trouble = "the time was over"
                break
            }
            let before = outcome.messages
            do {
                try batch(messages - outcome.messages)
            } catch {
                outcome.trouble = "\(error)"
                break
            }
            progress(outcome.messages - before)
        }
        // What is on its way is read before its connection goes.
        usleep(500_000)
        for peer in open { peer.discardAnswers() }
        return outcome
    }

    /// Some connections at a time, so that nobody waits for each one's handshake.
    private mutating func batch(_ wanted: Int) throws {
        var peers: [RawPeer] = []
        for _ in 0..<16 {
            if forge.mutator.random.below(32) == 0 {
                try badConnection(forge.mutator.pick(Malice.connections))
                continue
            }
            let peer = try RawPeer(path: path)
            outcome.connections += 1
            peer.write(RawPeer.greeting + RawPeer.ready(identity: identity()))
            peers.append(peer)
        }
        var left = wanted
        for peer in peers where left > 0 {
            guard peer.awaitHandshake() else {
                outcome.closed += 1
                continue
            }
            // Some say more than they are listened to.
            let count = min(left, 8 + forge.mutator.random.below(11))
            var bytes: [UInt8] = []
            var kinds: [Malice] = []
            for _ in 0..<count {
                let malice = forge.anyMessage()
                kinds.append(malice)
                bytes += RawPeer.message(forge.message(malice))
            }
            guard peer.write(bytes) else {
                outcome.closed += 1
                continue
            }
            for kind in kinds { outcome.byMalice[kind, default: 0] += 1 }
            outcome.messages += count
            left -= count
            keep(peer)
        }
    }

    private mutating func keep(_ peer: RawPeer) {
        open.append(peer)
        if open.count > 64 { open.removeFirst().discardAnswers() }
    }

    private mutating func identity() -> [UInt8] { Array("fuzz-\(String(forge.mutator.random.next(), radix: 36))".utf8) }

    private mutating func badConnection(_ malice: Malice) throws {
        let peer = try RawPeer(path: path)
        outcome.connections += 1
        outcome.byMalice[malice, default: 0] += 1
        switch malice {
        case .rawBytes: peer.write(forge.mutator.noise(1 + forge.mutator.random.below(3000)))
        case .halfGreeting: peer.write(Array(RawPeer.greeting.prefix(forge.mutator.random.below(64))))
        case .brokenHandshake:
            peer.write(RawPeer.greeting + forge.mutator.spoil(RawPeer.ready(identity: identity())))
        case .strangeIdentity:
            let length = forge.mutator.pick([0, 1, 255, 256, 5000])
            let type = forge.mutator.pick(["DEALER", "ROUTER", "REQ", "PUB", "", "X"])
            peer.write(RawPeer.greeting + RawPeer.ready(identity: forge.mutator.noise(length), type: type))
        case .hugeFrame, .halfMessage:
            peer.write(RawPeer.greeting + RawPeer.ready(identity: identity()))
            guard peer.awaitHandshake() else { break }
            if malice == .hugeFrame {
                let sizes: [UInt64] = [.max, 1 << 63, 1 << 50, 1 << 31, (1 << 30) + 1, 1 << 29]
                peer.write([2] + RawPeer.bigEndian(forge.mutator.pick(sizes)) + forge.mutator.noise(100))
            } else {
                let whole = RawPeer.message(forge.message(.wrongType))
                peer.write(Array(whole.dropLast(1 + forge.mutator.random.below(whole.count))))
            }
        default: break
        }
        halfOpen.append(peer)
        if halfOpen.count > 64 { halfOpen.removeFirst().discardAnswers() }
    }
}

extension FrameForge {
    /// Good messages of the link, as its honest peers send them, but of processes that are not there.
    mutating func captureGoodMessages() {
        let sender = "replay-\(mutator.random.below(1000))"
        for (type, body) in kind.received {
            for sequence in [1, 2, 1000] as [UInt64] {
                var header = HeaderText(
                    type: type, run: run, sender: sender, incarnation: "00000000000000ff", epoch: epoch,
                    sequence: sequence)
                if kind == .pool, ["start", "result", "failed"].contains(type) { header["ticket"] = "\(sequence)" }
                good.append([header.bytes, Array(body.utf8)])
            }
        }
    }
}
