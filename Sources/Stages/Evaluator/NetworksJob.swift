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
            return NetworkAnswer(error: StageMain.oneLine(error))
        }
    }

    /// - Throws: where the input is no list of questions.
    static func run(_ input: Data) throws -> Data {
        try JSONEncoder().encode(JSONDecoder().decode([NetworkQuestion].self, from: input).map(answer))
    }
}
