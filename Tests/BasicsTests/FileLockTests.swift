import Basics
import TestSupport
import Testing

@Suite struct FileLockTests {
    @Test func secondHolderIsToldWhoHasItUntilTheFirstIsGone() throws {
        let folder = try TemporaryFolder("lock")
        var first: FileLock? = try FileLock(path: folder("lock"), use: "nobody")
        try first?.write("somebody else")
        try first?.write("the first")
        let error = #expect(throws: UserError.self) {
            try FileLock(path: folder("lock"), use: "the first works here", patience: .zero)
        }
        #expect(error?.description == "the first works here")
        #expect(folder.read("lock") == "the first")
        first = nil
        _ = try FileLock(path: folder("lock"), use: "still held", patience: .zero)
    }
}
