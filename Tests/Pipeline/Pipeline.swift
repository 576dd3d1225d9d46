import Testing

/// Real processes, from the command line to the files that a run leaves. One after another: they share the cores, and
/// most of them wait for something to happen in time.
@Suite(.serialized) enum Pipeline {}

/// The weights of the undisturbed run that all others must equal; trained once.
enum Reference {
    private static let trained: Result<String, any Error> = Result {
        let play = try Playground()
        let ending = try play.launch().wait()
        guard ending.code == 0 else { throw Trouble("the undisturbed run failed: \(ending)") }
        return try play.weights()
    }

    static func weights() throws -> String { try trained.get() }
}
