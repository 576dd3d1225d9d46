import Basics
import Foundation
import StageKit
import Supervisor

/// What the dashboard answers to each request.
struct DashboardRoutes: Sendable {
    let access: DashboardAccess
    let run: DashboardRun

    func respond(to request: DashboardRequest) async -> DashboardResponse {
        var response: DashboardResponse
        if let refusal = access.check(request) {
            response = refusal
        } else {
            do {
                response = try await route(request) ?? .text(.notFound, "there is nothing here")
            } catch let error as UserError {
                response = .refused(request.method == "POST" ? .conflict : .unavailable, "\(error)")
            } catch let error as DecodingError {
                response = .refused(.badRequest, "the request's JSON is not what is expected here: \(error)")
            } catch {
                response = .refused(.unavailable, errorLine(error))
            }
        }
        if request.method == "HEAD" { response.body = Data() }
        for (name, value) in Self.headers where response.headers[name] == nil { response.headers[name] = value }
        return response
    }

    /// - Returns: nil for a path that there is not.
    private func route(_ request: DashboardRequest) async throws -> DashboardResponse? {
        guard request.method != "POST" else { return try await order(request) }
        switch request.path {
        case "/": return DashboardResponse(type: "text/html; charset=utf-8", body: DashboardPage.html)
        case "/api/state": return try .json(try await run.state())
        case "/api/curves": return try .json(await run.points())
        case "/api/log":
            return try .json(
                RunLogs(folder: run.path + "/logs", of: request.query["of"].flatMap { $0.isEmpty ? nil : $0 }))
        case "/api/panels": return try .json(ImagePanels(run: run.path))
        case "/api/memory":
            guard let map = try await run.memoryMap() else {
                return .refused(.notFound, "no checkpoint with a memory yet")
            }
            return try .json(map)
        case "/metrics":
            return DashboardResponse(
                type: PrometheusText.type, body: Data(PrometheusText(try await run.report()).text.utf8))
        default:
            guard request.path.hasPrefix("/panels/") else { return nil }
            return ImagePanels.file(request.path.dropFirst(8), run: run.path).map {
                // Not to be kept: the next run at this address has other pictures of the same names.
                DashboardResponse(type: "image/png", body: $0)
            }
        }
    }

    private func order(_ request: DashboardRequest) async throws -> DashboardResponse? {
        struct Done: Encodable { var done = true }
        let decoder = JSONDecoder()
        switch request.path {
        case "/api/scale": try await run.ask(.scale(decoder.decode(ScaleRequest.self, from: request.body)))
        case "/api/swap":
            let swap = try decoder.decode(SwapRequest.self, from: request.body)
            // A page that others may reach starts no programs.
            guard swap.exec == nil else {
                throw UserError(
                    "programs are swapped on the run's own host, by 'picoflow swap'; here are settings only")
            }
            try await run.ask(.swap(swap))
        case "/api/stop": try await run.ask(.stop)
        default: return nil
        }
        return try .json(Done())
    }

    /// Nothing from elsewhere is loaded, and nobody else shows the page in a frame.
    private static let headers = [
        "Cache-Control": "no-store",
        "Content-Security-Policy":
            "default-src 'none'; script-src '\(DashboardPage.scriptHash)'; style-src '\(DashboardPage.styleHash)'; "
            + "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    ]
}
