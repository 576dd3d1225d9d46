import Basics
import Testing

@Suite struct TextColumnsTests {
    @Test func columnsAreAsWideAsTheirLongestCell() {
        #expect(
            alignedColumns([["class", "IoU"], ["é", "12.50"], ["", "–"]], right: [1]) == [
                "class    IoU", "é      12.50", "           –",
            ])
        #expect(alignedColumns([["a", ""], ["bc", ""]]) == ["a   ", "bc  "])
        #expect(alignedColumns([]) == [])
    }

    @Test func whatIsLongerThanItsColumnStaysWhole() {
        #expect("abc".padded(to: 2) == "abc" && "abc".padded(to: 4, right: true) == " abc")
    }

    @Test func onlyBlanksAtTheEndGo() {
        #expect(" a b \t  ".withoutTrailingBlanks == " a b \t" && "  ".withoutTrailingBlanks == "")
    }
}
