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

    @Test func foldersThatCannotBeMadeSayWhy() throws {
        let folder = try TemporaryFolder("folders")
        try DurableFile.makeFolder(folder("a/b/c"))
        try DurableFile.makeFolder(folder("a/b/c"))
        try folder.write("x", to: "file")
        for (path, reason) in [("file", "File exists"), ("file/x", "Not a directory"), ("file/x/y", "Not a directory")]
        {
            let error = #expect(throws: UserError.self) { try DurableFile.makeFolder(folder(path)) }
            #expect(error?.description == "cannot make folder \(folder(path)): \(reason)")
        }
    }

    @Test func linesThatAreNotWholeAreLeft() {
        let (lines, length) = Data("one\n\nthree\ntor".utf8).wholeLines
        #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "", "three"] && length == 11)
        #expect(Data("xone\nt".utf8).dropFirst().wholeLines.length == 4)
    }

    @Test func pathsOfOneFileAreOne() throws {
        let folder = try TemporaryFolder("real")
        try folder.write("x", to: "file")
        try FileManager.default.createSymbolicLink(atPath: folder("link"), withDestinationPath: folder("file"))
        #expect(DurableFile.real(folder("link")) == DurableFile.real(folder("./file")))
        #expect(DurableFile.real(folder("absent")).hasSuffix("/absent"))
    }
}
