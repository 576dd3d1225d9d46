import Basics
import Foundation
import StageKit
import TestSupport
import Testing
import Wire

@testable import Supervisor

@Suite struct KeysFolderTests {
    let folder = try! TemporaryFolder("keys")

    private func keys() throws -> KeysFolder {
        let keys = KeysFolder(folder("keys"))
        try keys.prepare()
        return keys
    }

    private func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func filesAreMadeOnceAndForTheirOwnerOnly() throws {
        let keys = try keys()
        #expect(try mode(keys.path) == 0o700)
        for file in ["server.key", "allowed"] { #expect(try mode("\(keys.path)/\(file)") == 0o600) }
        let pair = try keys.serverKeys()
        try keys.prepare()
        #expect(try keys.serverKeys() == pair)
        #expect(try keys.clients().isEmpty)
    }

    @Test func keysAreAllowedAndRevokedByName() throws {
        let keys = try keys()
        let (a, b) = (try CurveKeyPair.generate().publicKey, try CurveKeyPair.generate().publicKey)
        try keys.allow(a, name: "gpu1")
        try keys.allow(a, name: "gpu1")
        try keys.allow(b, name: "gpu2")
        #expect(try keys.clients().map(\.name) == ["gpu1", "gpu2"])
        #expect(try keys.allowedKeys() == [a, b])
        #expect { try keys.allow(b, name: "gpu1") } throws: { "\($0)".contains("another key named 'gpu1'") }
        #expect { try keys.allow(b, name: "other") } throws: { "\($0)".contains("as 'gpu2'") }
        #expect { try keys.allow(b, name: "a b") } throws: { "\($0)".contains("cannot name a key") }
        #expect { try keys.revoke("gpu") } throws: { "\($0)".contains("did you mean 'gpu") }
        try keys.revoke("gpu1")
        #expect(try keys.allowedKeys() == [b])
    }

    @Test func damagedListsAreNamedByLine() throws {
        let keys = try keys()
        for bad in ["nokey name", "onlyoneword"] {
            try folder.write("# a comment\n\n\(bad)\n", to: "keys/allowed")
            #expect { _ = try keys.clients() } throws: { "\($0)".contains("allowed:3: a public key and a name") }
        }
        // '#' may begin a key.
        try folder.write("# c\n#" + String(repeating: "0", count: 39) + " odd\n", to: "keys/allowed")
        #expect(try keys.clients().map(\.name) == ["odd"])
        try folder.write("{}", to: "keys/server.key")
        #expect { _ = try keys.serverKeys() } throws: { "\($0)".contains("holds no key pair") }
    }

    @Test func clientFilesAreCheckedAndNeverOverwritten() throws {
        let path = folder("gpu1.key")
        let pair = try CurveKeyPair.generate()
        let file = ClientKeyFile(name: "gpu1", run: "r", server: try CurveKeyPair.generate().publicKey, keys: pair)
        try file.write(to: path)
        #expect(try mode(path) == 0o600)
        #expect(try ClientKeyFile(contentsOf: path) == file)
        #expect(try ClientKeyFile(contentsOf: path).security.keys == pair)
        #expect { try file.write(to: path) } throws: { "\($0)".contains("exists") }
        var wrong = file
        wrong.public = file.server
        try folder.write(try wrong.prettyJSON(), to: "wrong.key")
        #expect { _ = try ClientKeyFile(contentsOf: folder("wrong.key")) } throws: {
            "\($0)".contains("is no client key")
        }
        #expect { _ = try ClientKeyFile(contentsOf: folder("none.key")) } throws: { "\($0)".contains("none.key") }
    }
}
