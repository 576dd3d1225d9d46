import Foundation

/// Whether there is a folder at the path, or a link to one.
public func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
}

/// Why there is no folder at the path: `no such folder`, or what keeps one from being looked at.
public func whyNoFolder(_ path: String) -> String {
    guard access(path, F_OK) != 0, errno != ENOENT, errno != ENOTDIR else { return "no such folder" }
    return String(cString: strerror(errno))
}

/// The path from the root, without `.` and `..`: it means the same from any working directory.
public func absolutePath(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
