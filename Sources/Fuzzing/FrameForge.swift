import Basics

/// Makes messages that no honest peer sends: each of a known malice, from a seed.
///
/// None of them can take part in the protocol by accident: a READY asks for no credit, a HELLO names a process that nobody
/// started, nothing asks to stop. So whatever they change in a run is a defect.
public struct FrameForge: Sendable {
    public let kind: LinkKind
    public let run: String
    public var epoch: UInt64
    /// Frames of good messages that somebody sent or could have sent.
    public var good: [[[UInt8]]] = []
    public var mutator: Mutator

    public init(kind: LinkKind, run: String, epoch: UInt64, seed: UInt64) {
        self.kind = kind
        self.run = run
        self.epoch = epoch
        mutator = Mutator(seed: seed)
    }

    /// Most are cheap; of these one in a few hundred, so that the others are not kept from their million.
    public mutating func anyMessage() -> Malice {
        let malice = mutator.pick(Malice.messages)
        switch malice {
        case .largeHeader, .largeBody, .tooManyFrames, .nestedBody:
            return mutator.random.below(16) == 0 ? malice : .brokenHeader
        default: return malice
        }
    }

    private mutating func text() -> (header: HeaderText, body: [UInt8]) {
        let (type, body) = mutator.pick(kind.received)
        let names = ["loader-1", "miner-1", "compute-1", "bank-1", "fuzz-\(mutator.random.below(100))"]
        var header = HeaderText(
            type: type, run: run, sender: mutator.pick(names), incarnation: hexadecimal(), epoch: epoch,
            sequence: UInt64(1 + mutator.random.below(100)))
        if kind == .pool, ["start", "result", "failed"].contains(type) {
            header["ticket"] = "\(mutator.random.below(1000))"
        }
        return (header, Array(body.utf8))
    }

    private mutating func hexadecimal() -> String { mutator.random.next().digits(16, radix: 16) }

    private mutating func number() -> String { mutator.pick(Mutator.numbers) }

    /// Frames of a bad message, without a routing id.
    public mutating func message(_ malice: Malice) -> [[UInt8]] {
        var (header, body) = text()
        switch malice {
        case .tooFewFrames: return mutator.random.below(2) == 0 ? [header.bytes] : [[]]
        case .tooManyFrames:
            return [header.bytes, body]
                + [[UInt8]](repeating: mutator.noise(mutator.random.below(8)), count: 1 + mutator.random.below(2000))
        case .largeHeader:
            header["padding"] = "\"\(String(repeating: "x", count: 65536 + mutator.random.below(1 << 17)))\""
            return [header.bytes, body]
        case .largeBody:
            // Within ZeroMQ's limit on control, where a larger one closes the connection.
            let count =
                kind == .control ? (1 << 20) - mutator.random.below(64) : (4 << 20) + 1 + mutator.random.below(64)
            return [header.bytes, [UInt8](repeating: mutator.pick([0x20, 0x5b, 0x22, 0x30]), count: count)]
        case .brokenHeader: return [damaged(header.bytes), body]
        case .nestedHeader:
            // Deeper than any parser here goes: what is nested less and closed is a good header.
            let depth = 17 + mutator.random.below(20_000)
            let (open, close) = mutator.pick([("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")])
            let inner = mutator.random.below(2) == 0 ? String(repeating: close, count: depth) : ""
            header["deep"] = String(repeating: open, count: depth) + "1" + inner
            return [header.bytes, body]
        case .missingKey:
            header[mutator.pick(header.keys.filter { $0 != "ticket" })] = nil
            return [header.bytes, body]
        case .wrongValue:
            header[mutator.pick(["epoch", "incarnation", "run", "sender", "tensors", "type", "version"])] =
                mutator.pick(["null", "{}", "[[]]", "1.5", "-1", "true", "\"\\ud800\"", "18446744073709551616"])
            return [header.bytes, body]
        case .strangeText:
            header["sender"] =
                "\"\(mutator.pick(["\\u0000", "\\u001b[2J", "\u{202e}", "..\\/..\\/x", String(repeating: "é", count: 500)]))\""
            header["type"] = "\"\(mutator.pick(["\\u001b]0;x\\u0007", "\\n\\n", "\u{1f600}", "%s%n"]))\""
            return [header.bytes, body]
        case .wrongVersion:
            header["version"] = mutator.pick(["0", "2", "-1", "9223372036854775807"])
            return [header.bytes, body]
        case .wrongRun:
            header["run"] = mutator.pick(["\"\"", "\"\(run)x\"", "\"another\"", "\"\\u0000\""])
            return [header.bytes, body]
        case .wrongType:
            header["type"] = "\"\(mutator.pick(kind.foreign))\""
            return [header.bytes, body]
        case .lyingTensors: return lyingTensors(header, body)
        case .manyTensors:
            let count = 65 + mutator.random.below(400)
            let one = #"{"bytes":0,"dtype":"uint8","name":"t","shape":[0]}"#
            header["tensors"] = "[" + [String](repeating: one, count: count).joined(separator: ",") + "]"
            return [header.bytes, body] + [[UInt8]](repeating: [], count: mutator.random.below(70))
        case .brokenBody: return [header.bytes, damaged(body)]
        case .nestedBody:
            let depth = 600 + mutator.random.below(30_000)
            return [header.bytes, [UInt8](repeating: mutator.pick([0x5b, 0x7b]), count: depth)]
        case .wrongBody:
            return [
                header.bytes,
                Array(
                    mutator.pick([
                        "", "[]", "null", "1", "\"x\"", "{}{}", "{\"credit\":\(number())}",
                        "{\"executing\":[\(number())]}", "{\"request\":\(number()),\"sequence\":\(number())}",
                    ]).utf8),
            ]
        case .wrongEpoch:
            header["epoch"] = mutator.pick(["0", "\(epoch + 1)", "18446744073709551615", "9223372036854775808"])
            if kind == .log { header["type"] = "\"log.part\"" }
            return [header.bytes, body]
        case .unknownTicket:
            if kind == .pool { header["type"] = "\"\(mutator.pick(["start", "result", "failed"]))\"" }
            header["ticket"] = mutator.pick(["18446744073709551615", "9223372036854775807", "0", "4000000000"])
            return [header.bytes, Array(#"{"error":"x"}"#.utf8)]
        case .wrongSequence:
            header["sequence"] = mutator.pick(["0", "18446744073709551615", "9223372036854775808"])
            return [header.bytes, body]
        case .replay: return good.isEmpty ? [header.bytes, body] : mutator.pick(good)
        default:
            return (0..<mutator.random.below(6)).map { _ in mutator.noise(mutator.random.below(300)) } + [[]]
        }
    }

    /// Bytes that were changed, and for certain: whoever reads them must not find the old ones.
    private mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var spoiled = mutator.spoil(bytes)
        // A change may have left a good message; a comma too much ends that.
        if spoiled.last == 0x7d { spoiled.append(0x2c) }
        return spoiled
    }

    private mutating func lyingTensors(_ header: HeaderText, _ body: [UInt8]) -> [[UInt8]] {
        var header = header
        if kind == .pool {
            header["type"] = "\"result\""
            header["ticket"] = "\(mutator.random.below(1000))"
        }
        if kind == .log { header["type"] = "\"log.append\"" }
        let bytes = mutator.random.below(64)
        let (dtype, shape, declared, real): (String, String, String, Int) = mutator.pick([
            ("float32", "[1099511627776,1099511627776]", "4", 4), ("float64", "[9223372036854775807]", "8", 8),
            ("uint8", "[\(bytes)]", "\(bytes)", bytes + 1), ("uint8", "[\(bytes + 1)]", "\(bytes + 1)", bytes),
            ("uint8", "[-1]", "-1", 0), ("int32", "[-1,-1]", "4", 4), ("complex64", "[1]", "8", 8),
            ("uint8", "[0,9223372036854775807]", "1", 1), ("float32", "[\(bytes + 1)]", "\(bytes + 1)", bytes + 1),
            ("uint8", "[]", "0", 0), ("uint8", "1", "1", 1), ("uint8", "[1.0]", "1", 1),
            ("uint8", "[1]", "1099511627776", 1),
        ])
        header["tensors"] = "[{\"bytes\":\(declared),\"dtype\":\"\(dtype)\",\"name\":\"image\",\"shape\":\(shape)}]"
        var frames = [header.bytes, body, [UInt8](repeating: 7, count: real)]
        if mutator.random.below(8) == 0 { frames.append([]) }
        if mutator.random.below(8) == 0 { frames.removeLast() }
        return frames
    }
}
