import Foundation

/// An error as the one line that people read: in a terminal, a log or a supervisor's report.
///
/// Ours are sentences already; Foundation's of files become the file's path and the system's words.
public func errorLine(_ error: any Error) -> String {
    sentence(error).split(whereSeparator: \.isNewline).joined(separator: "; ")
}

private func sentence(_ error: any Error) -> String {
    guard let error = error as? CocoaError else { return "\(error)" }
    let cause = (error.userInfo[NSUnderlyingErrorKey] as? any Error).map { $0 as NSError }
    let words =
        cause?.domain == NSPOSIXErrorDomain
        ? String(cString: strerror(Int32(truncatingIfNeeded: cause!.code))) : error.localizedDescription
    return (error.userInfo[NSFilePathErrorKey] as? String).map { "\($0): \(words)" } ?? words
}
