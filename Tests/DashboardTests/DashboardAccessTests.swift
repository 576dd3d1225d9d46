import Basics
import Foundation
import Testing

@testable import Dashboard

@Suite struct DashboardAccessTests {
    private let token = SecretText("0123456789abcdef0123456789abcdef")

    private func get(path: String = "/", query: [String: String] = [:], _ headers: [String: String])
        -> DashboardRequest
    {
        DashboardRequest(method: "GET", path: path, query: query, headers: headers)
    }

    @Test func onlyNamesOfThisMachineReachIt() {
        let access = DashboardAccess(token: nil)
        for host in ["localhost", "localhost:8642", "LOCALHOST:1", "127.0.0.1:8642", "127.8.9.1", "[::1]:8642"] {
            #expect(access.check(get(["host": host])) == nil, "\(host)")
        }
        for host in [
            "evil.example", "evil.example:8642", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0",
            "127.0.0.1:x",
            "128.0.0.1", "", "[::2]:1", "0.0.0.0:8642",
        ] {
            #expect(access.check(get(["host": host]))?.status == .forbidden, "\(host)")
        }
        #expect(access.check(get([:]))?.status == .forbidden, "no Host header")
    }

    @Test func changesComeFromTheOwnPageAsJSON() {
        let access = DashboardAccess(token: nil)
        /// - Parameter changes: other values; "-" is none.
        func post(_ changes: [String: String]) -> DashboardResponse.Status? {
            var headers = [
                "host": "localhost:8642", "origin": "http://localhost:8642", "content-type": "application/json",
                "sec-fetch-site": "same-origin",
            ]
            for (name, value) in changes { headers[name] = value == "-" ? nil : value }
            return access.check(DashboardRequest(method: "POST", path: "/api/stop", headers: headers))?.status
        }
        #expect(post([:]) == nil)
        #expect(post(["sec-fetch-site": "-"]) == nil, "older browsers do not send it")
        #expect(post(["content-type": "application/json; charset=utf-8"]) == nil)
        for origin in ["http://localhost:9", "https://localhost:8642", "http://evil.example", "null", ""] {
            #expect(post(["origin": origin]) == .forbidden, "\(origin)")
        }
        #expect(post(["origin": "-"]) == .forbidden)
        for site in ["cross-site", "same-site", "none"] { #expect(post(["sec-fetch-site": site]) == .forbidden) }
        for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"] {
            #expect(post(["content-type": type]) == .wrongType)
        }
        #expect(post(["content-type": "-"]) == .wrongType)
    }

    @Test func otherMethodsAreNotUnderstood() {
        let access = DashboardAccess(token: nil)
        for method in ["PUT", "DELETE", "OPTIONS", "TRACE", ""] {
            let request = DashboardRequest(method: method, path: "/", headers: ["host": "localhost"])
            #expect(access.check(request)?.status == .methodNotAllowed)
        }
    }

    @Test func tokenAdmitsByURLOnceThenByCookie() throws {
        let access = DashboardAccess(token: token)
        #expect(access.check(get(["host": "gpu1:8642"]))?.status == .unauthorized)
        let admitted = try #require(access.check(get(query: ["token": token.text], ["host": "gpu1:8642"])))
        #expect(admitted.status == .seeOther && admitted.headers["Location"] == "/")
        let cookie = try #require(admitted.headers["Set-Cookie"])
        #expect(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"))
        let pair = String(cookie.prefix { $0 != ";" })
        #expect(access.check(get(path: "/api/state", ["host": "gpu1:8642", "cookie": "a=b; " + pair])) == nil)
        #expect(access.check(get(["host": "gpu1", "cookie": pair + "0"]))?.status == .unauthorized)
        // The token's URL is for the page alone; elsewhere it would stay in logs.
        #expect(
            access.check(get(path: "/metrics", query: ["token": token.text], ["host": "g"]))?.status == .unauthorized)
        #expect(
            access.check(get(query: ["token": String(token.text.dropLast())], ["host": "g"]))?.status == .unauthorized)
    }

    @Test func tokenAdmitsOtherProgramsByHeader() {
        let access = DashboardAccess(token: token)
        #expect(access.check(get(path: "/metrics", ["authorization": "Bearer " + token.text])) == nil)
        #expect(access.check(get(path: "/metrics", ["authorization": "bearer " + token.text])) == nil)
        for wrong in ["Bearer", "Bearer ", "Basic " + token.text, token.text, "Bearer " + token.text.uppercased()] {
            #expect(access.check(get(path: "/metrics", ["authorization": wrong]))?.status == .unauthorized, "\(wrong)")
        }
    }

    @Test func secretsAreComparedWholeAndDiffer() {
        #expect(token.matches(token.text))
        for guess in ["", "0", token.text + "0", String(token.text.dropFirst()) + "0"] {
            #expect(!token.matches(guess))
        }
        #expect(SecretText.random().text != SecretText.random().text)
        #expect(SecretText.random().text.utf8.count == 32)
    }

    @Test func addressesReadAsPeopleWriteThem() throws {
        func parts(_ text: String) throws -> (String, UInt16, Bool) {
            let address = try DashboardAddress(text)
            return (address.host, address.port, address.isLocal)
        }
        #expect(try parts("8642") == ("127.0.0.1", 8642, true))
        #expect(try parts("0") == ("127.0.0.1", 0, true))
        #expect(try parts("localhost:80") == ("127.0.0.1", 80, true))
        #expect(try parts("*:8642") == ("0.0.0.0", 8642, false))
        #expect(try parts("192.168.1.7:1") == ("192.168.1.7", 1, false))
        #expect(try parts("[::1]:8642") == ("::1", 8642, true))
        #expect(try parts("[::]:8642") == ("::", 8642, false))
        for text in ["", "x", "65536", "-1", "1.5", "host:80", "127.0.0.1:", ":80", "127.0.0.1", "1.2.3:4", "80 "] {
            #expect { _ = try DashboardAddress(text) } throws: { "\($0)".contains("dashboard '\(text)'") }
        }
        #expect(try DashboardAddress("[::1]:0").url(port: 5, token: nil) == "http://[::1]:5/")
        #expect(try DashboardAddress("10.0.0.1:5").url(port: 5, token: "t") == "http://10.0.0.1:5/?token=t")
    }
}
