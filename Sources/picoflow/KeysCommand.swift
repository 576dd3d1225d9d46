import ArgumentParser
import Basics
import Foundation
import StageKit
import Supervisor
import Wire

/// `picoflow keys`: who may join a run over TCP.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Say which keys may join a run from other machines.",
        discussion: """
            picoflow keys new gpu2 --run runs/pico-1        # makes gpu2.key; copy it to that machine
            picoflow keys revoke gpu2 --run runs/pico-1     # cut off now, refused from then on

            Works before the run is started, and while it lives. Once it was started, --run finds the folder of \
            'supervisor.keys: DIR' too; --keys DIR names that before, and tells no run at work.
            """,
        subcommands: [New.self, Allow.self, Revoke.self, List.self])

    /// `--run DIR` or `--keys DIR`.
    struct Folder: ParsableArguments {
        @Option(
            name: .customLong("run"), help: ArgumentHelp("The run's directory, started or not.", valueName: "dir"),
            completion: .directory)
        var run: String?

        @Option(
            name: .customLong("keys"),
            help: ArgumentHelp("The folder of keys itself, for several runs.", valueName: "dir"), completion: .directory
        )
        var keys: String?

        func validate() throws {
            guard (run == nil) != (keys == nil) else { throw ValidationError("Give --run DIR or --keys DIR.") }
        }

        func open() throws -> KeysFolder { KeysFolder(try keys ?? RunKeys.folder(ofRun: run!)) }

        /// The same, made where missing: keys may come before their run.
        func make() throws -> KeysFolder {
            if let run { try RunKeys.checkListens(run) }
            let folder = try open()
            let parent = URL(fileURLWithPath: folder.path).deletingLastPathComponent().path
            try DurableFile.makeFolder(parent)
            try folder.prepare()
            return folder
        }

        /// For results: a run at work goes by the list that it knows.
        var remark: String { run == nil ? "; a run at work is not told, as by --run" : "" }

        /// A run at work, which must be told that its list has changed. It is looked for before anything is changed, so that a
        /// command that cannot reach it can be given again.
        func listener() throws -> ControlClient? {
            guard let run, RunDirectory.isLive(run) else { return nil }
            return try ControlClient(run: run)
        }

        /// What a client key says its run is, by the folder that is there, whatever links lead to it; nil for a folder of several.
        var runName: String? {
            run.map { (DurableFile.real($0) as NSString).lastPathComponent }
        }
    }

    /// A client as `--json` has it.
    private struct Client: Encodable {
        var name: String
        /// Where the key was made here.
        var file: String?
        /// The client's public key, where it is known.
        var key: String?
        /// The run's public key, where a client needs it.
        var server: String?
        var isAllowed = true
    }

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new", abstract: "Make a client's key file and let it in.")

        @Argument(help: "The client's name, for the list.")
        var name: String

        @OptionGroup var folder: Folder

        @Option(help: ArgumentHelp("The file to make; NAME.key where missing.", valueName: "file"), completion: .file())
        var out: String?

        @OptionGroup var output: ResultOptions

        func run() throws {
            let path = out ?? name + ".key"
            let listener = try self.folder.listener()
            let folder = try self.folder.make()
            let keys = try CurveKeyPair.generate()
            guard access(path, F_OK) != 0 else { throw UserError("\(path) exists; name another file by --out") }
            try folder.allow(keys.publicKey, name: name)
            do {
                try ClientKeyFile(
                    name: name, run: self.folder.runName, server: folder.serverKeys().publicKey, keys: keys
                ).write(to: path)
            } catch {
                // A name whose key nobody has would be taken for ever.
                try? folder.revoke(name)
                throw error
            }
            _ = try listener?.ask(.keysChanged)
            try output.show(
                Client(
                    name: name, file: path, key: "\(keys.publicKey)", server: "\(folder.serverKeys().publicKey)"),
                "\(path) lets its holder join; move it to that machine, nobody else may read it\(self.folder.remark)")
        }
    }

    struct Allow: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "allow", abstract: "Let in a key that was made elsewhere.")

        @Argument(help: ArgumentHelp("The client's public key, 40 characters.", valueName: "public-key"))
        var key: String

        @Argument(help: "The client's name, for the list.")
        var name: String

        @OptionGroup var folder: Folder
        @OptionGroup var output: ResultOptions

        func run() throws {
            let key = try CurveKey(self.key)
            let listener = try self.folder.listener()
            let folder = try self.folder.make()
            try folder.allow(key, name: name)
            _ = try listener?.ask(.keysChanged)
            let server = try folder.serverKeys().publicKey
            try output.show(
                Client(name: name, key: "\(key)", server: "\(server)"),
                "\(name) may join; the run's public key is \(server)\(self.folder.remark)")
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Cut a key off and let it in no more.")

        @Argument(help: "The client's name in the list.")
        var name: String

        @OptionGroup var folder: Folder
        @OptionGroup var output: ResultOptions

        func run() throws {
            let listener = try folder.listener()
            try folder.open().revoke(name)
            _ = try listener?.ask(.keysChanged)
            try output.show(Client(name: name, isAllowed: false), "\(name) may not join any more\(folder.remark)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show who may join.")

        @OptionGroup var folder: Folder
        @OptionGroup var output: ResultOptions

        func run() throws {
            let clients = try folder.open().clients()
            try output.show(
                clients.map { Client(name: $0.name, key: "\($0.key)") },
                clients.map { "\($0.key)  \($0.name)\n" }.joined(), terminator: "")
        }
    }
}
