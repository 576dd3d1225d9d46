import Basics
import Foundation
import TestSupport
import Testing

@Suite struct PathsTests {
    @Test func foldersAreToldFromFilesAndFromWhatIsNotThere() throws {
        let folder = try TemporaryFolder("paths")
        try folder.write("x", to: "file")
        try FileManager.default.createSymbolicLink(atPath: folder("link"), withDestinationPath: folder.path)
        #expect(isFolder(folder.path) && isFolder(folder("link")))
        #expect(!isFolder(folder("file")) && !isFolder(folder("absent")))
    }

    @Test func pathsStartAtTheRoot() {
        #expect(absolutePath("a/./b/../c") == FileManager.default.currentDirectoryPath + "/a/c")
        #expect(absolutePath("/a/../b") == "/b")
    }
}
