import Basics
import Foundation
import Imaging

#if canImport(Glibc)
    import Glibc
#endif

/// The `ffmpeg` of the PATH, which reads and writes videos; nothing of it is linked.
enum FFmpeg {
    /// - Throws: `UserError` that names the video and says how to get the program.
    static func program(_ name: String = "ffmpeg", for video: String) throws -> URL {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let places: [String] = folders.map { "\($0)/\(name)" }
        guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
            throw UserError(
                "\(video): videos need \(name), which is not in PATH; install it (Debian: apt-get install ffmpeg), or predict the video's frames as images"
            )
        }
        return URL(fileURLWithPath: found)
    }

    /// A start of a program with what it says on standard error.
    final class Run {
        let process = Process()
        private let errors: String

        init(_ program: URL, _ arguments: [String], input: Any, output: Any, for video: String) throws {
            // A file cannot fill up while frames flow.
            errors = NSTemporaryDirectory() + "/picoflow-ffmpeg-\(UUID().uuidString)"
            _ = FileManager.default.createFile(atPath: errors, contents: nil)
            process.executableURL = program
            process.arguments = arguments
            process.standardInput = input
            process.standardOutput = output
            process.standardError = FileHandle(forWritingAtPath: errors) ?? FileHandle.nullDevice
            do {
                try process.run()
            } catch {
                throw UserError("\(video): cannot start \(program.path): \(systemWords(error))")
            }
        }

        deinit {
            if process.isRunning { process.terminate() }
            unlink(errors)
        }

        /// - Returns: the program's first line on standard error; nil where it said nothing.
        /// - Throws: `UserError` with that line, where it failed.
        @discardableResult func wait(for video: String) throws -> String? {
            process.waitUntilExit()
            let said = (try? String(contentsOfFile: errors, encoding: .utf8))?.split(whereSeparator: \.isNewline)
                .first.map(String.init)
            guard process.terminationReason == .exit, process.terminationStatus == 0 else {
                throw UserError("\(video): \(said ?? "ffmpeg ended with \(process.terminationStatus)")")
            }
            return said
        }
    }
}

/// A video's frames, one after another.
final class VideoReader {
    private let path: String
    private let run: FFmpeg.Run
    private let pipe = Pipe()
    /// Frames per second, as ffmpeg takes it: `30000/1001`.
    let rate: String
    /// After the last frame, what ffmpeg complained of and went on: a download that broke off ends so.
    private(set) var trouble: String?

    /// - Throws: `UserError` where there is no ffmpeg.
    init(_ path: String) throws {
        self.path = path
        rate = try Self.rate(of: path)
        // A PPM per frame brings its size along, whichever way the video is to be turned. At the rate that it is written with
        // again: a recording's may vary, and ffmpeg would guess another.
        run = try FFmpeg.Run(
            FFmpeg.program(for: path),
            [
                "-v", "error", "-nostdin", "-i", "file:" + path, "-map", "0:v:0", "-r", rate, "-f", "image2pipe",
                // A video of ten bits would come as a PPM of sixteen.
                "-pix_fmt", "rgb24", "-c:v", "ppm", "-",
            ],
            input: FileHandle.nullDevice, output: pipe, for: path)
    }

    /// The next frame; nil after the last one.
    ///
    /// - Throws: `UserError` that names the video: it is damaged, or no video.
    func next() throws -> Image? {
        guard let header = try header() else {
            trouble = try run.wait(for: path)
            return nil
        }
        return try Image(width: header.width, height: header.height) { target in
            guard try read(into: target) == target.count else { throw cutShort() }
        }
    }

    /// `P6`, width, height and 255, each ended by a blank; nil where nothing more comes.
    private func header() throws -> (width: Int, height: Int)? {
        var words: [String] = []
        var word = ""
        while words.count < 4 {
            var byte: UInt8 = 0
            guard try withUnsafeMutableBytes(of: &byte, { try read(into: $0) }) == 1 else {
                guard words.isEmpty, word.isEmpty else { throw cutShort() }
                return nil
            }
            if [0x20, 0x0a].contains(byte) {
                words.append(word)
                word = ""
            } else {
                word.unicodeScalars.append(Unicode.Scalar(byte))
            }
            guard word.count < 16 else { break }
        }
        guard words.count == 4, words[0] == "P6", let width = Int(words[1]), let height = Int(words[2]),
            words[3] == "255",
            (1...ImageLimits.standard.side).contains(width), (1...ImageLimits.standard.side).contains(height)
        else { throw UserError("\(path): ffmpeg gives frames that cannot be read") }
        return (width, height)
    }

    private func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
        var filled = 0
        while filled < target.count {
            let got = Glibc.read(
                pipe.fileHandleForReading.fileDescriptor, target.baseAddress! + filled, target.count - filled)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw DurableFile.systemError("cannot read", path) }
            guard got > 0 else { break }
            filled += got
        }
        return filled
    }

    private func cutShort() -> UserError { UserError("\(path): ends within a frame") }

    private static func rate(of path: String) throws -> String {
        let output = Pipe()
        let run = try FFmpeg.Run(
            FFmpeg.program("ffprobe", for: path),
            [
                "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=avg_frame_rate", "-of",
                "default=noprint_wrappers=1:nokey=1", "file:" + path,
            ], input: FileHandle.nullDevice, output: output, for: path)
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        try run.wait(for: path)
        guard let rate = text.split(whereSeparator: \.isWhitespace).first else {
            throw UserError("\(path): holds no video")
        }
        // A stream of unknown rate says 0/0, a browser's recording that of its clock: 1000/1.
        let parts = rate.split(separator: "/").compactMap { Double($0) }
        guard parts.count == 2, parts[0] > 0, parts[1] > 0, parts[0] / parts[1] < 1000 else { return "25" }
        return String(rate)
    }
}

/// Writes frames of one size as a video.
final class VideoWriter {
    private let path: String
    private let run: FFmpeg.Run
    private let pipe = Pipe()
    private let (width, height): (Int, Int)

    /// - Parameter path: its ending decides the format.
    /// - Throws: `UserError` where there is no ffmpeg.
    init(_ path: String, width: Int, height: Int, rate: String) throws {
        self.path = path
        (self.width, self.height) = (width, height)
        // What it dies of is told by its exit, not by our end.
        signal(SIGPIPE, SIG_IGN)
        run = try FFmpeg.Run(
            FFmpeg.program(for: path),
            [
                "-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "\(width)x\(height)",
                "-r",
                rate, "-i", "-",
                // Players want chroma of half the size, hence even sides.
                "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "file:" + path,
            ], input: pipe, output: FileHandle.nullDevice, for: path)
    }

    func append(_ frame: Image) throws {
        guard frame.width == width, frame.height == height else {
            throw UserError("\(path): a frame of \(frame.width)x\(frame.height) among those of \(width)x\(height)")
        }
        do {
            try frame.pixels.withUnsafeBytes {
                try DurableFile.writeAll($0, to: pipe.fileHandleForWriting.fileDescriptor, path: path)
            }
        } catch {
            // Why it takes no more is the better news.
            try? pipe.fileHandleForWriting.close()
            try run.wait(for: path)
            throw error
        }
    }

    /// The video is whole when this returns.
    func finish() throws {
        try pipe.fileHandleForWriting.close()
        try run.wait(for: path)
    }
}
