import Basics
import Foundation
import Wire

extension Ranks {
    /// The line of the whole mini-batch from each rank's of its part: the images one after the other, and digests over
    /// the digests, in the order of the ranks. Collective.
    func joined(_ line: LedgerLine) throws -> LedgerLine {
        guard let group else { return line }
        let parts = try group.gather(line.wireJSON().map { Int64($0) }).map { words in
            try JSONDecoder().decode(LedgerLine.self, from: Data(words.map { UInt8(truncatingIfNeeded: $0) }))
        }
        func digest(_ member: KeyPath<LedgerLine, String?>) -> String? {
            let digests = parts.compactMap { $0[keyPath: member] }
            return digests.isEmpty ? nil : SHA256.hex(digests.joined(separator: "\n"))
        }
        var whole = line
        whole.images = parts.flatMap(\.images)
        whole.batch = SHA256.hex(parts.map(\.batch).joined(separator: "\n"))
        whole.record = digest(\.record)
        whole.gradient = digest(\.gradient)
        return whole
    }
}
