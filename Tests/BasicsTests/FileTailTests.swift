import Basics
import Foundation
import TestSupport
import Testing

@Suite struct FileTailTests {
    @Test func isTheEndOrTheWhole() throws {
        let folder = try TemporaryFolder("tail")
        let path = try folder.write("one\ntwo\n", to: "lines")
        for (bytes, text, isCut) in [(3, "wo\n", true), (8, "one\ntwo\n", false), (100, "one\ntwo\n", false)] {
            let tail = fileTail(path, bytes: UInt64(bytes))
            #expect(tail?.data == Data(text.utf8) && tail?.isCut == isCut, "\(bytes) bytes")
        }
        try folder.write("", to: "empty")
        #expect(fileTail(folder("empty"), bytes: 8)?.data == Data())
        #expect(fileTail(folder("absent"), bytes: 8)?.data == nil)
    }
}
