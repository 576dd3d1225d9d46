import Foundation
import Testing

@testable import Basics

@Suite struct ErrorLineTests {
    @Test func ownErrorsAreTheirSentences() {
        #expect(errorLine(UserError("recipe.yaml:3: 'lr' must be a number")) == "recipe.yaml:3: 'lr' must be a number")
        #expect(errorLine(UserError("one\n  two\n")) == "one;   two")
    }

    @Test func foundationsErrorsOfFilesNameThePathInTheSystemsWords() {
        func line(_ action: () throws -> Void) -> String {
            do { try action() } catch { return errorLine(error) }
            return ""
        }
        #expect(
            line { _ = try FileManager.default.contentsOfDirectory(atPath: "/nowhere") }
                == "/nowhere: No such file or directory")
        #expect(
            line { try FileManager.default.createDirectory(atPath: "/dev/null/x", withIntermediateDirectories: true) }
                == "/dev/null/x: Not a directory")
    }
}
