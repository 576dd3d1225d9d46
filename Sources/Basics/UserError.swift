/// An error whose reader is the person at the terminal: one line that names the file, key or peer, says what is wrong
/// and what would be right.
///
/// Modules throw their own error types where callers tell cases apart; what reaches `main` prints its `description`
/// after "picoflow: " and exits with a code that is not 0.
public struct UserError: Error, CustomStringConvertible, Sendable, Equatable {
    public let description: String

    public init(_ description: String) { self.description = description }
}
