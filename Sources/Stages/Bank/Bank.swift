import Contrast
import Foundation
import MemoryKit
import StageKit
import Wire

/// What a bank needs to know to start.
public struct BankConfiguration: Sendable {
    /// Where compute and miners connect to.
    public var endpoint: Endpoint
    /// Where followers on other hosts connect to.
    public var otherEndpoints: [Endpoint]
    public var sender: Sender
    /// The bank's own storage: records and snapshots; nobody else writes there.
    public var folder: String
    public var start: LogStart
    /// The newest epoch of the run's journal.
    public var knownEpoch: Epoch
    public var shape: MemoryShape
    public var settings: LogSettings
    /// Who shows the memory to a person; nobody where nil.
    public var telemetry: MemoryTelemetry?
    /// Whose log says at which sequence the memory is; nobody's where nil.
    public var origin: LogOrigin?

    public init(
        endpoint: Endpoint, otherEndpoints: [Endpoint] = [], sender: Sender, folder: String, start: LogStart,
        knownEpoch: Epoch = Epoch(0),
        shape: MemoryShape, settings: LogSettings = LogSettings()
    ) {
        self.endpoint = endpoint
        self.otherEndpoints = otherEndpoints
        self.sender = sender
        self.folder = folder
        self.start = start
        self.knownEpoch = knownEpoch
        self.shape = shape
        self.settings = settings
    }
}

/// The bank: owns the memory, and with it the order of everything that enters it.
public enum BankStage {
    /// Opens the storage, binds and starts serving; the caller stops the server and asks its position and statistics.
    ///
    /// - Throws: `LogError.storage` for damaged files or a checkpoint of another memory, `WireError.socket`.
    public static func start(
        _ configuration: BankConfiguration, context: Context, onNote: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> LogServer {
        try LogServer(
            bind: configuration.endpoint, alsoAt: configuration.otherEndpoints, as: configuration.sender,
            context: context, folder: configuration.folder,
            reducer: WatchedMemory(
                MemoryReducer(shape: configuration.shape), telemetry: configuration.telemetry,
                origin: configuration.origin),
            start: configuration.start,
            knownEpoch: configuration.knownEpoch, settings: configuration.settings, onNote: onNote)
    }

    /// Serves until `onStart`'s server is stopped.
    ///
    /// - Parameter onStart: gets the running server, to be kept for `stop()` and for metrics.
    /// - Throws: what ended the server, for instance a full disk.
    public static func run(
        _ configuration: BankConfiguration, context: Context, onNote: @escaping @Sendable (String) -> Void = { _ in },
        onStart: (LogServer) throws -> Void
    ) throws {
        let server = try start(configuration, context: context, onNote: onNote)
        defer { server.stop() }
        try onStart(server)
        try server.waitUntilStopped()
    }
}
