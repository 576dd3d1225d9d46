import Basics
import Testing

/// SHA-256 against FIPS 180-4's examples (NIST, "Examples with Intermediate Values").
@Suite struct SHA256Tests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func isTheStandards(text: String, digest: String) {
        #expect(SHA256.hex(text) == digest)
        #expect(SHA256.hex(SharedBytes(Array(text.utf8))) == digest)
    }

    @Test func piecesHashAsTheirWhole() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        var whole = SHA256()
        bytes.withUnsafeBytes { whole.update($0) }
        for cut in [0, 1, 63, 64, 65, 500, 1_000] {
            var pieces = SHA256()
            bytes[..<cut].withUnsafeBytes { pieces.update($0) }
            bytes[cut...].withUnsafeBytes { pieces.update($0) }
            #expect(pieces.hex() == whole.hex(), "cut at \(cut)")
        }
    }

    @Test func copiesGoOnByThemselves() {
        var first = SHA256()
        first.update("ab")
        var second = first
        first.update("c")
        second.update("x")
        #expect(first.hex() == SHA256.hex("abc"))
        #expect(second.hex() == SHA256.hex("abx"))
        #expect(first.hex() == SHA256.hex("abc"), "asking for a digest ends nothing")
    }
}
