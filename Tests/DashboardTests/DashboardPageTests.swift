import Basics
import Foundation
import Supervisor
import TestSupport
import Testing

@testable import Dashboard

@Suite struct DashboardPageTests {
    private let page = String(decoding: DashboardPage.html, as: UTF8.self)

    @Test func everythingIsInThePageItself() {
        // The namespace of SVG is a name, not an address.
        let rest = page.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "")
        for sign in ["http://", "https://", "src=\"", "@import", "url(http"] {
            #expect(!rest.contains(sign), "\(sign)")
        }
        #expect(
            page.components(separatedBy: "<script>").count == 2 && page.components(separatedBy: "<style>").count == 2)
    }

    @Test func scriptKnowsOnlyElementsThatThereAre() {
        let ids = Set(page.matches(of: /\sid="([a-z-]+)"/).map { String($0.1) })
        let used = Set(page.matches(of: /\$\('([a-z-]+)'\)/).map { String($0.1) })
        #expect(used.count > 20 && used.subtracting(ids).isEmpty, "\(used.subtracting(ids))")
    }

    @Test func answersCarryTheirGuards() async throws {
        let folder = try TemporaryFolder("no-run")
        let routes = DashboardRoutes(access: DashboardAccess(token: nil), run: DashboardRun(folder("later")))
        func answer(_ method: String, _ path: String, _ body: String = "{}", origin: String = "http://localhost:1")
            async -> DashboardResponse
        {
            await routes.respond(
                to: DashboardRequest(
                    method: method, path: path,
                    headers: ["host": "localhost:1", "origin": origin, "content-type": "application/json"],
                    body: Data(body.utf8)))
        }
        for (method, path, status) in [
            ("GET", "/", DashboardResponse.Status.ok), ("GET", "/nothing", .notFound), ("GET", "/api/curves", .ok),
            ("GET", "/api/log", .ok), ("GET", "/api/panels", .ok), ("GET", "/api/memory", .notFound),
            // Of a run that has not begun nothing more is known.
            ("GET", "/api/state", .unavailable), ("GET", "/metrics", .unavailable), ("POST", "/api/stop", .conflict),
            ("POST", "/api/nothing", .notFound), ("POST", "/", .notFound), ("PUT", "/", .methodNotAllowed),
        ] {
            let response = await answer(method, path)
            #expect(response.status == status, "\(method) \(path): \(response.status)")
            #expect(response.headers["Content-Security-Policy"]?.contains(DashboardPage.scriptHash) == true)
            #expect(response.headers["X-Content-Type-Options"] == "nosniff")
        }
        #expect(await answer("HEAD", "/").body.isEmpty)
        #expect(await answer("POST", "/api/scale", "{\"stages\":[]}").status == .badRequest)
        #expect(await answer("POST", "/api/stop", origin: "http://evil.example").status == .forbidden)
        let program = await answer("POST", "/api/swap", #"{"stage":"miner","set":[],"exec":["sh"]}"#)
        #expect(program.status == .conflict && String(decoding: program.body, as: UTF8.self).contains("picoflow swap"))
    }
}
