import Basics
import Foundation
import TestSupport
import Testing

@Suite struct DurableFileTests {
    @Test func whatCannotTakeItsPlaceLeavesNothingAside() throws {
        let folder = try TemporaryFolder("durable")
        try FileManager.default.createDirectory(atPath: folder("taken"), withIntermediateDirectories: true)
        let error = #expect(throws: UserError.self) { try DurableFile.write("text", to: folder("taken")) }
        #expect(error?.description.contains("Is a directory") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["taken"])
    }

    @Test func pathsOfOneFileAreOne() throws {
        let folder = try TemporaryFolder("real")
        try folder.write("x", to: "file")
        try FileManager.default.createSymbolicLink(atPath: folder("link"), withDestinationPath: folder("file"))
        #expect(DurableFile.real(folder("link")) == DurableFile.real(folder("./file")))
        #expect(DurableFile.real(folder("absent")).hasSuffix("/absent"))
    }
}
