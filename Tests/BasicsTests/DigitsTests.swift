import Basics
import Foundation
import Testing

@Suite struct DigitsTests {
    @Test func numbersHaveZerosBeforeThemUpToAWidth() {
        #expect([0, 7, 500, 1_000_000].map { $0.digits(6) } == ["000000", "000007", "000500", "1000000"])
        #expect(UInt8(10).digits(2, radix: 16) == "0a")
        #expect(UInt64.max.digits(16, radix: 16) == String(repeating: "f", count: 16))
    }

    @Test func quotedTextIsJSONWhateverItHolds() throws {
        #expect(jsonQuoted("a\"b\\c\n\u{1}\u{1f}é/") == #""a\"b\\c\n\u0001\u001fé/""#)
        let all = String(String.UnicodeScalarView((1..<0x300).compactMap { Unicode.Scalar($0 as UInt32) }))
        #expect(try JSONDecoder().decode([String].self, from: Data("[\(jsonQuoted(all))]".utf8)) == [all])
    }
}
