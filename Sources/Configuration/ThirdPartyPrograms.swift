import Basics
import Glibc

/// Finds what `exec` names: the programs of third-party stages and their scripts, before anything is started.
///
/// Relative paths are meant from the folder that picoflow is started in, as in a shell. What is found is written down as an
/// absolute path, so that a saved topology means the same from wherever the run is resumed.
public struct ThirdPartyPrograms: Sendable {
    /// Absolute; relative paths are looked up from here.
    private let folder: String
    /// Where programs without a folder in their name are looked up, as in `PATH`.
    private let searchPath: String

    public init(folder: String, searchPath: String) {
        self.folder = folder
        self.searchPath = searchPath
    }

    /// This process's working directory and `PATH`.
    public static func ofThisProcess() -> ThirdPartyPrograms {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let folder = getcwd(&buffer, buffer.count).map { String(cString: $0) } ?? "/"
        return ThirdPartyPrograms(folder: folder, searchPath: getenv("PATH").map { String(cString: $0) } ?? "")
    }

    /// The command with the paths of its program and of its script made absolute.
    ///
    /// A program without a folder in its name is left to `PATH`, which may differ where the run is resumed. A script is the
    /// first argument where it looks like one (`python3 tools/cutout.py`); it must be there. Other arguments that name a
    /// file are made absolute too.
    ///
    /// - Throws: `UserError` that says what is missing.
    public func resolve(_ command: [String]) throws -> [String] {
        guard let program = command.first else { throw UserError("a command needs a program") }
        var resolved = command
        if program.contains("/") {
            resolved[0] = absolute(program)
            guard isFile(resolved[0]) else {
                throw UserError("there is no program \(program)" + remark(program))
            }
            guard access(resolved[0], X_OK) == 0 else { throw UserError("\(program) is not executable") }
        } else if !searchPath.split(separator: ":").contains(where: { isExecutable("\($0)/\(program)") }) {
            throw UserError("there is no program '\(program)' in the PATH")
        }
        for index in command.indices.dropFirst() where !command[index].hasPrefix("-") {
            let path = absolute(command[index])
            if isFile(path) {
                resolved[index] = path
            } else if index == 1, Self.isScript(command[index]) {
                throw UserError("there is no file \(command[index])" + remark(command[index]))
            }
        }
        return resolved
    }

    private static func isScript(_ word: String) -> Bool {
        [".py", ".sh", ".jl", ".js", ".rb", ".pl", ".lua", ".R"].contains { word.hasSuffix($0) }
    }

    private func remark(_ path: String) -> String {
        path.hasPrefix("/") ? "" : "; paths are meant from the folder that picoflow is started in, \(folder)"
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : folder + "/" + path }

    private func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private func isExecutable(_ path: String) -> Bool { isFile(path) && access(path, X_OK) == 0 }
}

extension Topology {
    /// Looks up the programs of third-party stages.
    ///
    /// - Throws: `UserError` at the `exec` that names what is not there.
    mutating func find(_ programs: ThirdPartyPrograms, path: String, reader: Reader) throws {
        for index in stages.indices {
            guard let command = stages[index].exec else { continue }
            do {
                stages[index].exec = try programs.resolve(command)
            } catch {
                let place = reader.place(of: ["stages.\(stages[index].name).exec"]) ?? .file(path, line: nil)
                throw UserError("\(place): stage '\(stages[index].name)': \(error)")
            }
        }
    }
}
