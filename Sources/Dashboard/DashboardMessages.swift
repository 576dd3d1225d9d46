import Basics
import Foundation

/// A request to the dashboard, without the server that read it.
struct DashboardRequest: Sendable {
    var method: String
    var path: String
    var query: [String: String] = [:]
    /// By lower-case name.
    var headers: [String: String] = [:]
    /// At most `DashboardAccess.maxBodyBytes`.
    var body = Data()

    /// The value of a cookie.
    func cookie(_ name: String) -> String? {
        let pairs = (headers["cookie"] ?? "").split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }
        return pairs.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }
}

struct DashboardResponse: Sendable, Equatable {
    enum Status: Int, Sendable {
        case ok = 200
        case seeOther = 303
        case badRequest = 400
        case unauthorized = 401
        case forbidden = 403
        case notFound = 404
        case methodNotAllowed = 405
        case conflict = 409
        case tooLarge = 413
        case wrongType = 415
        case unavailable = 503
    }

    var status = Status.ok
    var type = "text/plain; charset=utf-8"
    var headers: [String: String] = [:]
    var body = Data()

    static func text(_ status: Status, _ sentence: String) -> DashboardResponse {
        DashboardResponse(status: status, body: Data((sentence + "\n").utf8))
    }

    static func json(_ value: some Encodable) throws -> DashboardResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Curves of a run that diverged.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return DashboardResponse(type: "application/json", body: try encoder.encode(value))
    }

    /// What a page that did something wrong, or asked for what cannot be, is told.
    static func refused(_ status: Status, _ why: String) -> DashboardResponse {
        struct Refusal: Encodable { var error: String }
        var response = (try? json(Refusal(error: why))) ?? text(status, why)
        response.status = status
        return response
    }
}
