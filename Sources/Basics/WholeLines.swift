import Foundation

extension Data {
    /// The lines that end in this data, without their line feeds, and the bytes that they take up with them. What follows is
    /// a line still being written, or one that a kill has torn.
    public var wholeLines: (lines: [Data], length: Int) {
        var lines: [Data] = []
        var start = startIndex
        while let end = self[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(self[start..<end])
            start = end + 1
        }
        return (lines, start - startIndex)
    }
}
