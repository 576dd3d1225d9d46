import Basics
import Foundation

/// Something that reads what a stranger may have written, with good examples to spoil.
public struct FuzzedDecoder {
    public let name: String
    /// Each a list of frames; a decoder of one piece of bytes takes the first.
    let examples: [[[UInt8]]]
    /// Reads frames that may be anything: returns where it takes them, throws where it does not.
    /// A trap, or `Broken`, is a defect.
    let read: ([SharedBytes]) throws -> Void

    /// - Parameter read: see the property.
    public init(_ name: String, examples: [[[UInt8]]], read: @escaping ([SharedBytes]) throws -> Void) {
        self.name = name
        self.examples = examples
        self.read = read
    }

    /// What a decoder took that it should not have taken.
    public struct Broken: Error, CustomStringConvertible {
        public let description: String
        public init(_ description: String) { self.description = description }
    }
}

/// Feeds decoders with spoiled copies of good input, in this process: millions a minute, where over a socket it is
/// thousands a second.
public struct DecoderFuzzer {
    public struct Outcome: Sendable {
        public var name: String
        public var accepted = 0
        public var refused = 0
        /// The first defects, each with what repeats it.
        public var defects: [String] = []
    }

    private let seed: UInt64

    public init(seed: UInt64) { self.seed = seed }

    /// - Parameter inputs: inputs `first ..< first + inputs` of the seed's stream; an input depends on its number alone.
    public func run(_ decoder: FuzzedDecoder, inputs: Int, first: Int = 0) -> Outcome {
        var outcome = Outcome(name: decoder.name)
        for number in first..<first + inputs {
            var mutator = Mutator(seed: seed, step: UInt64(number))
            let frames = Self.input(of: decoder, &mutator).map { SharedBytes($0) }
            do {
                try decoder.read(frames)
                outcome.accepted += 1
            } catch let broken as FuzzedDecoder.Broken {
                if outcome.defects.count < 10 { outcome.defects.append("seed \(seed), input \(number): \(broken)") }
            } catch {
                outcome.refused += 1
            }
        }
        return outcome
    }

    private static func input(of decoder: FuzzedDecoder, _ mutator: inout Mutator) -> [[UInt8]] {
        var frames = mutator.pick(decoder.examples)
        switch mutator.random.below(20) {
        case 0: break
        case 1: frames = frames.map { mutator.noise(min(200, $0.count)) }
        case 2: frames.remove(at: mutator.random.below(frames.count))
        case 3: frames.append(mutator.noise(mutator.random.below(64)))
        default:
            // The header decides most.
            let place = mutator.random.below(3) > 0 ? 0 : mutator.random.below(frames.count)
            frames[place] = mutator.spoil(frames[place])
        }
        return frames
    }
}
