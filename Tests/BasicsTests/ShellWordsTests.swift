import Basics
import Testing

@Suite struct ShellWordsTests {
    @Test(arguments: [
        ("python3 my_miner.py", ["python3", "my_miner.py"]), ("  a\t b  ", ["a", "b"]), ("", []),
        ("'a b' \"c d\"", ["a b", "c d"]), (#"a\ b"#, ["a b"]), (#"--x="1 2"y"#, ["--x=1 2y"]),
        (#""a\"b\\c\d""#, [#"a"b\c\d"#]), (#"'a\b'"#, [#"a\b"#]), ("'' x", ["", "x"]),
    ])
    func wordsAreSplitAsAShellDoes(text: String, words: [String]) throws {
        #expect(try shellWords(text) == words)
    }

    @Test(arguments: ["/runs/a-1", "my code/run", "it's", "", "$HOME", "a\"b\\"])
    func aWordIsReadBack(word: String) throws {
        #expect(try shellWords("x " + shellWord(word)) == ["x", word])
    }

    @Test(arguments: [("'a", "a quote that is not closed"), (#"a\"#, "ends with a backslash")])
    func brokenCommandLineIsRefused(text: String, why: String) {
        #expect { _ = try shellWords(text) } throws: { "\($0)".contains(why) }
    }
}
