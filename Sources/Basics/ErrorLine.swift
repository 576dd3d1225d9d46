import Foundation

/// An error as the one line that people read: in a terminal, a log or a supervisor's report.
///
/// Ours are sentences already; Foundation's of files become the file's path and the system's words.
public func errorLine(_ error: any Error) -> String {
    sentence(error).split(whereSeparator: \.isNewline).joined(separator: "; ")
}

/// Why it failed, without the file's path: the system's own words where Foundation has them, `Permission denied` for one.
public func systemWords(_ error: any Error) -> String {
    guard let error = error as? CocoaError else { return "\(error)" }
    let cause = (error.userInfo[NSUnderlyingErrorKey] as? any Error).map { $0 as NSError }
    guard let cause, cause.domain == NSPOSIXErrorDomain else { return error.localizedDescription }
    return String(cString: strerror(Int32(truncatingIfNeeded: cause.code)))
}

private func sentence(_ error: any Error) -> String {
    let path = (error as? CocoaError)?.userInfo[NSFilePathErrorKey] as? String
    return (path.map { "\($0): " } ?? "") + systemWords(error)
}
