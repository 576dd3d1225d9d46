import Basics
import Foundation
import Testing

@testable import Wire

@Suite struct MessageTests {
    private let sender = Sender(run: "r", name: "a-0", incarnation: Incarnation(rawValue: "00ff"))

    private func frames(_ header: String, _ rest: [Int] = []) -> [SharedBytes] {
        [SharedBytes(Data(header.utf8)), SharedBytes(Data("{}".utf8))] + rest.map { SharedBytes(Data(count: $0)) }
    }

    private func header(_ tensors: String = "", version: Int = 1, extra: String = "") -> String {
        #"{"version":\#(version),"type":"t","run":"r","sender":"a","incarnation":"i","epoch":1,"sequence":2,"tensors":[\#(tensors)]\#(extra)}"#
    }

    @Test func aMessageComesBackAsItWas() throws {
        let tensor = try WireTensor(name: "x", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
        let message = Message(
            "ticket", from: sender, epoch: Epoch(7), sequence: .max, body: Data(#"{"a":1}"#.utf8), tensors: [tensor],
            ticket: 9)
        let back = try Message(frames: message.frames(), run: "r")
        #expect(back.header == message.header)
        #expect(back.body == message.body)
        #expect(back.tensors[0].bytes.array(of: Float.self) == [1, 2, 3, 4, 5, 6])
    }

    @Test func theHandWrittenHeaderEqualsFoundations() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let names = [
            "plain", "", "quo\"te\\back/slash", "tab\tnewline\nreturn\r", "\u{0}\u{1}\u{8}\u{b}\u{c}\u{1f}\u{7f}",
            "Zürich 漢字 🚦", "\u{2028}",
        ]
        for (index, name) in names.enumerated() {
            var random = KeyedRandom(seed: 1, purpose: "header", step: UInt64(index))
            let tensors = (0..<index % 3).map { i in
                Header.Tensor(
                    name: name + "\(i)", dtype: WireDType.allCases[i], shape: [0, random.below(1 << 40)],
                    bytes: random.below(1 << 50))
            }
            let header = Header(
                version: 1, type: name, run: name + "r", sender: name, incarnation: Incarnation(rawValue: name),
                epoch: Epoch(random.next()), sequence: random.next(), tensors: tensors,
                ticket: index % 2 == 0 ? nil : TicketID(random.next()))
            #expect(header.frame().data == (try encoder.encode(header)))
            #expect(try Header(frame: header.frame()) == header)
        }
    }

    @Test func headersOfOtherWritersAreRead() throws {
        let text = """
             { "version" : 1, "type":"t\\u0041\\ud83d\\udea6\\/\\"\\\\\\n", "run":"r", "sender":"é", "incarnation":"i",
               "epoch":18446744073709551615,\t"sequence":0, "future":{"a":[1,-2.5e-3,true,false,null,{}],"b":""}, "tensors":[
                 {"shape":[], "name":"x", "later":1, "bytes":1, "dtype":"uint8"} ] }
            """
        let read = try Header(frame: SharedBytes(Data(text.utf8)))
        #expect(read.type == "tA🚦/\"\\\n")
        #expect(read.sender == "é")
        #expect(read.epoch == Epoch(.max))
        #expect(read.ticket == nil)
        #expect(read.tensors == [Header.Tensor(name: "x", dtype: .uint8, shape: [], bytes: 1)])
    }

    @Test func whatIsNoHeaderIsRefusedWithItsReason() {
        let deep = String(repeating: "[", count: 60_000)
        let cases: [(String, String)] = [
            ("", "expected '{'"), ("null", "expected '{'"), ("{", "'key' is no string"), ("{}", "lacks 'version'"),
            ("{}x", "something follows"),
            ("[]", "expected '{'"), (header() + " {}", "something follows"),
            (header(version: 1).replacingOccurrences(of: "\"r\"", with: "3"), "'run' is no string"),
            (#"{"version":1.0}"#, "no whole number"), (#"{"version":1e3}"#, "no whole number"),
            (#"{"version":01}"#, "begins with 0"),
            (#"{"version":99999999999999999999}"#, "out of range"), (#"{"epoch":-1}"#, "out of range"),
            (#"{"epoch":"1"}"#, "no whole number"),
            (#"{"type":"\x"}"#, "unknown escape"), (#"{"type":"\ud800"}"#, "surrogate"),
            (#"{"type":"\udc00"}"#, "surrogate"),
            (#"{"type":"\u12"#, "hexadecimal"), (#"{"type":"abc"#, "does not end"),
            ("{\"type\":\"a\u{1}\"}", "control byte"),
            (#"{"x":tru}"#, "unknown word"), (#"{"x":+}"#, "no value"), (#"{"x":"# + deep, "nested too deeply"),
            (header(#"{"name":"x","dtype":"complex","shape":[],"bytes":0}"#), "unknown dtype 'complex'"),
            (header(#"{"name":"x"}"#), "needs name, dtype"),
        ]
        for (text, words) in cases {
            do {
                _ = try Message(frames: frames(text), run: "r")
                Issue.record("accepted \(text.prefix(80))")
            } catch {
                #expect("\(error)".contains(words), "\(text.prefix(80))")
            }
        }
        #expect(throws: WireError.self) {
            try Header(frame: SharedBytes(Data([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])))
        }
    }

    @Test func anotherVersionSaysSoWhateverElseItIs() {
        #expect(throws: WireError.unknownVersion(2)) { try Message(frames: frames(header(version: 2)), run: "r") }
        #expect(throws: WireError.unknownVersion(2)) {
            try Message(frames: frames(#"{"version":2,"run":[1],"type":7}"#), run: "r")
        }
        #expect(throws: WireError.unknownVersion(0)) { try Message(frames: frames(#"{"version":0}"#), run: "r") }
    }

    @Test func anotherRunIsRefused() {
        #expect(throws: WireError.wrongRun("r", expected: "s")) { try Message(frames: frames(header()), run: "s") }
    }

    @Test func declaredSizesMustEqualTheFrames() throws {
        func tensor(_ shape: String, _ bytes: Int) -> String {
            #"{"name":"x","dtype":"float32","shape":\#(shape),"bytes":\#(bytes)}"#
        }
        _ = try Message(frames: frames(header(tensor("[2,3]", 24)), [24]), run: "r")
        _ = try Message(frames: frames(header(tensor("[5,0]", 0)), [0]), run: "r")
        let lies: [(String, [Int])] = [
            (tensor("[2,3]", 24), [23]), (tensor("[2,3]", 23), [23]), (tensor("[2,4]", 24), [24]),
            (tensor("[-2,-3]", 24), [24]),
            (tensor("[4611686018427387904,4]", 0), [0]), (tensor("[9223372036854775807,9223372036854775807]", 4), [4]),
            (tensor("[2,3]", 24), []), (tensor("[2,3]", 24), [24, 24]), ("", [1]),
        ]
        for (tensors, sizes) in lies {
            #expect(throws: WireError.self, "\(tensors)") {
                try Message(frames: frames(header(tensors), sizes), run: "r")
            }
        }
    }

    @Test func limitsHoldBeforeAnythingIsRead() {
        var limits = MessageLimits()
        limits.headerBytes = 400
        limits.bodyBytes = 10
        limits.tensors = 1
        limits.tensorBytes = 100
        let tensor = #"{"name":"x","dtype":"uint8","shape":[101],"bytes":101}"#
        #expect(throws: WireError.tooLarge(what: "tensors", bytes: 101, limit: 100)) {
            try Message(frames: frames(header(tensor), [101]), run: "r", limits: limits)
        }
        #expect(throws: WireError.malformed("2 tensors; the limit is 1")) {
            try Message(frames: frames(header(tensor + "," + tensor), [101, 101]), run: "r", limits: limits)
        }
        #expect(throws: WireError.tooLarge(what: "header", bytes: 401, limit: 400)) {
            try Message(frames: frames(String(repeating: " ", count: 401)), run: "r", limits: limits)
        }
        let body = [SharedBytes(Data(header().utf8)), SharedBytes(Data(count: 11))]
        #expect(throws: WireError.tooLarge(what: "body", bytes: 11, limit: 10)) {
            try Message(frames: body, run: "r", limits: limits)
        }
        #expect(throws: WireError.malformed("1 frames; at least 2 are needed")) {
            try Message(frames: [body[0]], run: "r")
        }
    }

    /// 100,000 damaged messages: decoding and both cores survive each, and what our parser accepts Foundation reads
    /// alike.
    @Test func damagedMessagesNeverCrashAnything() throws {
        let originals = try PoolGoldenTests.all.map { try $0.message.frames() }
        var consumer = ConsumerHarness { $0.badFrameLimit = .max }
        var accepted = 0
        for index in 0..<100_000 {
            var random = KeyedRandom(seed: 42, purpose: "fuzz", index: UInt64(index))
            var damaged = originals[random.below(originals.count)].map { [UInt8]($0.data) }
            for _ in 0...random.below(3) { Self.damage(&damaged, &random) }
            let bytes = damaged.map { SharedBytes($0) }
            if let message = try? Message(frames: bytes, run: nil) {
                accepted += 1
                _ = try? message.decodeBody(PoolBody.Ready.self)
                if index % 10 == 0, let theirs = try? JSONDecoder().decode(Header.self, from: bytes[0].data) {
                    #expect(message.header == theirs, "\(index)")
                }
            }
            _ = consumer.core.handle(.received(from: PeerID("p\(index % 7)"), frames: bytes), now: consumer.now)
            if index % 10 == 0 {
                var worker = PoolWorkerCore(
                    as: PoolGoldenTests.worker, consumers: ["c"], credit: 1, settings: PoolSettings(), now: consumer.now
                )
                _ = worker.handle(.received(consumer: 0, frames: originals[1]), now: consumer.now)
                _ = worker.handle(.received(consumer: 0, frames: bytes), now: consumer.now)
            }
        }
        // Both ways are exercised.
        #expect(accepted > 1000 && accepted < 90_000)
    }

    private static func damage(_ frames: inout [[UInt8]], _ random: inout KeyedRandom) {
        let frame = random.below(max(1, frames.count))
        guard !frames.isEmpty else { return frames.append([UInt8(random.below(256))]) }
        let count = frames[frame].count
        switch random.below(9) {
        case 0 where frames.count > 1: frames.remove(at: frame)
        case 1: frames.insert(frames[random.below(frames.count)], at: frame)
        case 2: frames[frame] = Array(frames[frame].prefix(random.below(count + 1)))
        case 3 where count > 0: frames[frame].remove(at: random.below(count))
        case 4: frames[frame].insert(UInt8(random.below(256)), at: random.below(count + 1))
        case 5 where count > 0:  // a piece repeated elsewhere
            let start = random.below(count)
            let piece = frames[frame][start..<min(count, start + 1 + random.below(30))]
            frames[frame].insert(contentsOf: piece, at: random.below(count + 1))
        case 6:  // numbers that hurt
            let text = String(decoding: frames[frame], as: UTF8.self)
            let digits = ["1", "2", "3", "6", "8"][random.below(5)]
            let worse = [
                "-1", "9223372036854775807", "18446744073709551615", "18446744073709551616", "0", "1e9", "[]", "null",
            ][random.below(8)]
            frames[frame] = Array(text.replacingOccurrences(of: digits, with: worse).utf8)
        default:
            if count > 0 { frames[frame][random.below(count)] = UInt8(random.below(256)) }
        }
    }
}
