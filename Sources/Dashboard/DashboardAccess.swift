import Basics
import Foundation

/// Who may look, and who may change the run.
///
/// On this machine's own address everybody on it may: the `Host` header must then be a name of this machine, as a foreign
/// name that suddenly resolves to it (DNS rebinding) would let a web page read everything. On any other address each request
/// must bring the token. Whatever changes the run must come from the dashboard's own page: same origin, and JSON, which
/// a form of another page cannot send.
struct DashboardAccess: Sendable {
    /// Nil on this machine's own address.
    let token: SecretText?
    /// Browsers keep one set of cookies for all ports of a host.
    let cookie: String

    /// A swap's settings are far shorter.
    static let maxBodyBytes = 16 << 10

    init(token: SecretText?) {
        self.token = token
        // Another dashboard of this host has another token, so another name.
        cookie = "picoflow-" + SHA256.hex(token?.text ?? "").prefix(8)
    }

    /// - Returns: the answer to a request that goes no further; nil where it may.
    func check(_ request: DashboardRequest) -> DashboardResponse? {
        if let token {
            if !isKnown(request, token) { return admission(request, token) }
        } else if !Self.isLocalName(request.headers["host"]) {
            return .text(.forbidden, "this dashboard is for 127.0.0.1 and localhost, under no other name")
        }
        switch request.method {
        case "GET", "HEAD": return nil
        case "POST":
            guard let origin = request.headers["origin"], let host = request.headers["host"],
                origin.lowercased() == "http://" + host.lowercased(),
                request.headers["sec-fetch-site"].map({ $0 == "same-origin" }) ?? true
            else { return .refused(.forbidden, "only the dashboard's own page may change the run") }
            let type = request.headers["content-type"]?.split(separator: ";").first.map(String.init)
            guard type?.lowercased() == "application/json" else {
                return .refused(.wrongType, "content of type application/json is expected")
            }
            return nil
        default: return .text(.methodNotAllowed, "GET and POST are understood")
        }
    }

    private func isKnown(_ request: DashboardRequest, _ token: SecretText) -> Bool {
        // Other programs, Prometheus for one, send a header; the page's requests bring the cookie.
        if let header = request.headers["authorization"], header.lowercased().hasPrefix("bearer ") {
            return token.matches(header.dropFirst(7).trimmingCharacters(in: .whitespaces))
        }
        return request.cookie(cookie).map { token.matches($0) } ?? false
    }

    /// The URL that was printed carries the token once; the cookie takes its place, so that it does not stay in the
    /// browser's address line and history.
    private func admission(_ request: DashboardRequest, _ token: SecretText) -> DashboardResponse {
        guard request.method == "GET", request.path == "/", let given = request.query["token"], token.matches(given)
        else {
            return .text(.unauthorized, "open the URL with the token that 'picoflow' printed")
        }
        return DashboardResponse(
            status: .seeOther,
            headers: [
                "Location": "/", "Set-Cookie": "\(cookie)=\(token.text); Path=/; HttpOnly; SameSite=Lax",
            ])
    }

    /// Any port: an ssh tunnel may end at another one.
    static func isLocalName(_ header: String?) -> Bool {
        guard var name = header?.lowercased() else { return false }
        if let colon = name.lastIndex(of: ":"),
            name[name.index(after: colon)...].utf8.allSatisfy({ (48...57).contains($0) })
        {
            name = String(name[..<colon])
        }
        if name == "localhost" || name == "[::1]" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
