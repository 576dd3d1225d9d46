import Basics
import Foundation
import Models
import StageKit

/// `picoflow-evaluator networks`: builds each network that it is asked about, with no weights in it, and counts its parameters.
enum NetworksJob {
    static func answer(_ question: NetworkQuestion) -> NetworkAnswer {
        do {
            let network = try Network.make(question.model, classes: question.classes, projecting: question.projecting)
            return NetworkAnswer(parameters: network.namedParameters().withoutProjection.elementCount)
        } catch {
            return NetworkAnswer(error: errorLine(error))
        }
    }

    /// - Parameter progress: called after each network.
    /// - Throws: where the input is no list of questions.
    static func run(_ input: Data, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws -> Data {
        let questions = try JSONDecoder().decode([NetworkQuestion].self, from: input)
        let answers = questions.enumerated().map { index, question in
            defer { progress(index + 1, questions.count) }
            return answer(question)
        }
        return try JSONEncoder().encode(answers)
    }
}
