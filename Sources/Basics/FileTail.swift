import Foundation

/// The last bytes of a file, and whether others stand before them: the newest lines of what may be long, of which the first
/// may be cut.
///
/// - Returns: nil where the file cannot be opened.
public func fileTail(_ path: String, bytes: UInt64) -> (data: Data, isCut: Bool)? {
    guard let file = FileHandle(forReadingAtPath: path), let end = try? file.seekToEnd() else { return nil }
    defer { try? file.close() }
    try? file.seek(toOffset: end - min(end, bytes))
    return ((try? file.readToEnd()) ?? Data(), end > bytes)
}
