import MemoryKit
import StageKit
import Wire

/// The bank's memory with somebody who looks at it: decides and copies as `MemoryReducer` does.
struct WatchedMemory: LogReducer, Sendable {
    private var memory: MemoryReducer
    private let telemetry: MemoryTelemetry?
    private let origin: LogOrigin?
    private var step: UInt64 = 0 { didSet { origin?.step = step } }

    init(_ memory: MemoryReducer, telemetry: MemoryTelemetry?, origin: LogOrigin? = nil) {
        self.memory = memory
        self.telemetry = telemetry
        self.origin = origin
    }

    mutating func reduce(_ logical: LogPayload, at sequence: SequenceNumber) throws -> LogPayload {
        let physical = try memory.reduce(logical, at: sequence)
        step = sequence.rawValue
        telemetry?.note(memory.memory, step: step)
        return physical
    }

    func writeSnapshot(_ emit: (LogPayload) throws -> Void) throws {
        try memory.writeSnapshot(emit)
        telemetry?.project(memory.memory, step: step)
    }

    func join(_ parts: [LogPayload], at sequence: SequenceNumber) throws -> LogPayload {
        try memory.join(parts, at: sequence)
    }

    mutating func apply(_ physical: LogPayload, at sequence: SequenceNumber) throws {
        try memory.apply(physical, at: sequence)
        step = sequence.rawValue
    }

    mutating func beginRestore() throws { try memory.beginRestore() }

    mutating func restore(_ part: LogPayload) throws { try memory.restore(part) }

    mutating func endRestore(at sequence: SequenceNumber) throws {
        try memory.endRestore(at: sequence)
        step = sequence.rawValue
    }
}
