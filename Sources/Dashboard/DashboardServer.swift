import Basics
import FlyingFox
import FlyingSocks
import Foundation
import Synchronization

/// The dashboard over HTTP, by FlyingFox.
public enum DashboardServer {
    /// Serves until the process ends.
    ///
    /// - Parameters:
    ///   - run: the run's directory; it may not be there yet.
    ///   - onListening: gets the URL, with the token where the address needs one.
    /// - Throws: `UserError` where the address cannot be listened at.
    public static func serve(
        run: String, at address: DashboardAddress, onListening: @escaping @Sendable (_ url: String) -> Void
    ) throws -> Never {
        let hasEnded = DispatchSemaphore(value: 0)
        let outcome = Outcome()
        Task.detached {
            do {
                try await listen(run, address, onListening)
            } catch {
                outcome.failure.withLock { $0 = error }
            }
            hasEnded.signal()
        }
        hasEnded.wait()
        throw outcome.failure.withLock { $0 } ?? UserError("the dashboard ended")
    }

    private final class Outcome: Sendable { let failure = Mutex<(any Error)?>(nil) }

    private static func listen(
        _ run: String, _ address: DashboardAddress, _ onListening: @Sendable (String) -> Void
    ) async throws {
        let token = address.isLocal ? nil : SecretText.random()
        let handler = Handler(
            routes: DashboardRoutes(access: DashboardAccess(token: token), run: DashboardRun(run)))
        let server = try HTTPServer(config: configuration(address), handler: handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await server.run()
                } catch let error as SocketError {
                    throw explained(error, address)
                }
            }
            // Ends with the other's error where the address cannot be bound.
            group.addTask { try await server.waitUntilListening(timeout: 30) }
            try await group.next()
            onListening(address.url(port: await port(of: server) ?? address.port, token: token?.text))
            try await group.next()
        }
    }

    /// A swap is answered when its step is known, which may take a long step.
    private static let patience: TimeInterval = 3600

    private static func configuration(_ address: DashboardAddress) throws -> HTTPServer.Configuration {
        if address.isIPv6 {
            return HTTPServer.Configuration(
                address: try sockaddr_in6.inet6(ip6: address.host, port: address.port), timeout: patience,
                logger: .disabled)
        }
        return HTTPServer.Configuration(
            address: try sockaddr_in.inet(ip4: address.host, port: address.port), timeout: patience, logger: .disabled)
    }

    private static func port(of server: HTTPServer) async -> UInt16? {
        switch await server.listeningAddress {
        case .ip4(_, let port), .ip6(_, let port): port
        case .unix, nil: nil
        }
    }

    private static func explained(_ error: SocketError, _ address: DashboardAddress) -> any Error {
        guard case .failed(_, let number, let message) = error else { return error }
        let place = address.isLocal ? "port \(address.port)" : "\(address.host):\(address.port)"
        switch number {
        case EADDRINUSE: return UserError("dashboard: \(place) is in use; name another port, or 0 for any free one")
        case EACCES: return UserError("dashboard: \(place) needs root; ports from 1024 do not")
        case EADDRNOTAVAIL: return UserError("dashboard: \(address.host) is no address of this machine")
        default: return UserError("dashboard: cannot listen at \(place): \(message)")
        }
    }

    private struct Handler: HTTPHandler {
        let routes: DashboardRoutes

        func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
            // A body without a length, or a long one, is nothing that the page sends; it is not read.
            guard let length = request.bodySequence.count, length <= DashboardAccess.maxBodyBytes else {
                return HTTPResponse(DashboardResponse.text(.tooLarge, "the request is too long"), closes: true)
            }
            var headers: [String: String] = [:]
            for (header, value) in request.headers { headers[header.rawValue.lowercased()] = value }
            let response = await routes.respond(
                to: DashboardRequest(
                    method: request.method.rawValue, path: request.path,
                    query: Dictionary(
                        request.query.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first }),
                    headers: headers, body: try await request.bodyData))
            return HTTPResponse(response)
        }
    }
}

extension HTTPResponse {
    fileprivate init(_ response: DashboardResponse, closes: Bool = false) {
        var headers = HTTPHeaders()
        headers[.contentType] = response.type
        for (name, value) in response.headers { headers[HTTPHeader(name)] = value }
        if closes { headers[.connection] = "close" }
        self.init(
            statusCode: HTTPStatusCode(response.status.rawValue, phrase: "\(response.status)"), headers: headers,
            body: response.body)
    }
}
