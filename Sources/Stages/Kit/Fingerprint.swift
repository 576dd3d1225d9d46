import Basics

/// What decides a worker's bits beyond its tickets: library versions, and what a fixed small calculation gives here.
///
/// Hosts differ in kernels and maths libraries. A replica whose fingerprint differs from the run's first of its stage is
/// refused, unless the recipe says `determinism: relaxed`.
public struct Fingerprint: Codable, Sendable, Equatable {
    /// Library to version, for instance `openblas` to `0.3.21`; the part that a refusal can explain.
    public var versions: [String: String]
    /// The name under which compute and evaluators have what bf16 gives here, of which runs in float32 take no notice.
    public static let bf16 = "bf16 arithmetic"
    /// SHA-256 of the calculation's output bytes.
    public var hash: String

    public init(versions: [String: String], hash: String) {
        self.versions = versions
        self.hash = hash
    }

    /// Runs the stage's own fixed calculation.
    ///
    /// - Parameters:
    ///   - versions: of the libraries that this kind of stage computes with.
    ///   - extra: adds the output bytes of a small calculation that uses them: loaders decode and resize a built-in image,
    ///     miners multiply matrices and take exponentials, compute runs a convolution's step. It must not depend on
    ///     thread counts where the stage's results do not.
    public static func compute(
        versions: [String: String] = [:], extra: (inout SHA256) throws -> Void
    ) rethrows -> Fingerprint {
        var hash = SHA256()
        hash.update("picoflow fingerprint 1")
        try extra(&hash)
        var versions = versions
        versions["architecture"] = architecture
        return Fingerprint(versions: versions, hash: hash.hex())
    }

    /// Where `other` differs, in words, or nil where it does not.
    ///
    /// - Parameter ignored: names that do not count.
    public func difference(from other: Fingerprint, ignoring ignored: Set<String> = []) -> String? {
        let names = Set(versions.keys).union(other.versions.keys).subtracting(ignored)
        for name in names.sorted() where versions[name] != other.versions[name] {
            return "\(name) \(versions[name] ?? "absent") instead of \(other.versions[name] ?? "absent")"
        }
        return hash == other.hash
            ? nil : "its check calculation gives \(hash.prefix(12)) instead of \(other.hash.prefix(12))"
    }

    #if arch(x86_64)
        private static let architecture = "x86_64"
    #elseif arch(arm64)
        private static let architecture = "aarch64"
    #else
        private static let architecture = "other"
    #endif
}
