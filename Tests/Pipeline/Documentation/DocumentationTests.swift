import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// Every Markdown page of the repository: what it says to type does what it says.
    @Suite struct DocumentationTests {
        /// As somebody reads them who is new; a page may use what the pages before it made. Others come behind.
        private static let order = [
            "README.md", "docs/training.md", "docs/running.md", "docs/results.md", "Configs/README.md",
            "CONTRIBUTING.md",
        ]

        /// Path from the repository's root and content of each page.
        private static let pages: Result<[(path: String, page: Markdown)], any Error> = Result {
            let root = Clone.repository
            let kept = try FileManager.default.contentsOfDirectory(atPath: root).filter { name in
                name == "docs" || name == "Sources" || name == "Configs" || name == "tools" || name.hasSuffix(".md")
            }
            let found = kept.flatMap { name -> [String] in
                name.hasSuffix(".md")
                    ? [name] : (FileManager.default.subpaths(atPath: "\(root)/\(name)") ?? []).map { "\(name)/\($0)" }
            }.filter { $0.hasSuffix(".md") }
            return try (order + found.filter { !order.contains($0) }.sorted()).map { path in
                (path, try Markdown(String(contentsOfFile: "\(root)/\(path)", encoding: .utf8), page: path))
            }
        }

        @Test(.timeLimit(.minutes(20))) func everyCommandIsRun() throws {
            let clone = try Clone()
            var unused = Set(TreatmentRow.table.indices)
            var run = 0
            for (path, page) in try Self.pages.get() where !page.commands.isEmpty {
                var steps: [(command: DocumentedCommand, treatment: Treatment?)] = []
                for command in page.commands {
                    guard let index = TreatmentRow.index(of: command.text, in: TreatmentRow.table) else {
                        steps.append((command, nil))
                        continue
                    }
                    unused.remove(index)
                    let row = TreatmentRow.table[index]
                    let missing = row.needs.filter { !Python.has($0) }
                    guard missing.isEmpty else {
                        print("not run, as python3 has no \(missing.joined(separator: ", ")): \(command)")
                        continue
                    }
                    if case .not = row.treatment {} else { run += 1 }
                    steps.append((command, row.treatment))
                }
                let script = try PageScript(steps, isFirst: path == Self.order[0], in: clone)
                for failure in try script.run() { Issue.record("\(failure)") }
            }
            #expect(run > 30)
            for index in unused { Issue.record("no page has a command like '\(TreatmentRow.table[index].command)'") }
            #expect(clone.play.stages().isEmpty)
        }

        /// Commands in the midst of a sentence, which are not whole: their words are ones of the program.
        @Test func commandsInSentencesAreOnesThatThereAre() throws {
            let folder = try TemporaryFolder("words")
            func help(_ words: [String]) throws -> PicoFlowProcess.Ending {
                try PicoFlowProcess(["help"] + words, in: folder).wait()
            }
            var texts: [String: String?] = [:]
            var checked = 0
            for (path, page) in try Self.pages.get() {
                for (line, text) in page.spans where text.hasPrefix("picoflow ") {
                    let words = text.split(separator: " ").dropFirst().map(String.init)
                    guard let first = words.first, first.first?.isLowercase == true else { continue }
                    let isPair = (first == "data" || first == "keys") && words.count > 1
                    let name = words.prefix(isPair ? 2 : 1).joined(separator: " ")
                    if texts[name] == nil {
                        let ending = try help(words.prefix(isPair ? 2 : 1).map { $0 })
                        texts[name] = .some(ending.code == 0 ? ending.output : nil)
                    }
                    guard let known = texts[name] ?? nil else {
                        Issue.record("\(path):\(line): there is no 'picoflow \(name)'")
                        continue
                    }
                    for option in words where option.hasPrefix("--") {
                        #expect(known.contains("  \(option)"), "\(path):\(line): 'picoflow \(name)' has no \(option)")
                    }
                    checked += 1
                }
            }
            #expect(checked > 20)
        }

        @Test func filesThatAreNamedAreThere() throws {
            var checked = 0
            for (path, page) in try Self.pages.get() {
                let folder = ("\(Clone.repository)/\(path)" as NSString).deletingLastPathComponent
                for (line, target) in page.links where !target.contains("://") {
                    // A heading of the same page, or of another.
                    let file = target.prefix { $0 != "#" }
                    #expect(FileManager.default.fileExists(atPath: "\(folder)/\(file)"), "\(path):\(line): \(target)")
                    checked += 1
                }
                for (line, text) in page.spans where Self.namesFile(text) {
                    #expect(
                        FileManager.default.fileExists(atPath: "\(Clone.repository)/\(text)"),
                        "\(path):\(line): \(text)")
                    checked += 1
                }
            }
            #expect(checked > 40)
        }

        /// Whether code in a sentence is a path from the repository's root, without anything to be filled in.
        private static func namesFile(_ text: String) -> Bool {
            ["Sources/", "Tests/", "tools/", "Configs/", "Pipelines/", "docs/"].contains { text.hasPrefix($0) }
                && text.allSatisfy { $0.isLetter || $0.isNumber || "/.-_+".contains($0) }
                && !text.contains("NAME") && !text.contains("DATASET")
        }
    }

    /// What of a page is a command, and which row of the table it has.
    @Suite struct MarkdownTests {
        @Test func commandsAreTakenFromTheirBlocks() throws {
            let page = try Markdown(
                """
                Text with `code # one` and [a link](docs/a.md).

                ```sh
                # only a comment
                picoflow a --set 'b # c' "# d" x   # a comment
                picoflow b \\
                    --to c     # of both lines

                ```

                ```yaml
                stages: {}
                ```
                """, page: "p.md")
            #expect(
                page.commands == [
                    DocumentedCommand(page: "p.md", line: 5, text: "picoflow a --set 'b # c' \"# d\" x"),
                    DocumentedCommand(page: "p.md", line: 6, text: "picoflow b --to c"),
                ])
            #expect(page.spans.map(\.text) == ["code # one"] && page.links.map(\.target) == ["docs/a.md"])
        }

        @Test(arguments: ["```\npicoflow a b\n```", "```bash\ntools/x\n```", "    tools/x y", "```sh\na"])
        func commandsThatNoTestWouldFindAreAnError(text: String) {
            #expect(throws: Trouble.self) { try Markdown(text, page: "p.md") }
        }

        @Test func theLongestRowCountsAndWordsAreWhole() {
            let table = [
                TreatmentRow("picoflow launch", .with("")), TreatmentRow("picoflow launch x", .with("")),
                TreatmentRow("tools/test", .with("")),
            ]
            #expect(TreatmentRow.index(of: "picoflow launch x y", in: table) == 1)
            #expect(TreatmentRow.index(of: "picoflow launch xy", in: table) == 0)
            #expect(TreatmentRow.index(of: "tools/test-hosts", in: table) == nil)
        }
    }
}
