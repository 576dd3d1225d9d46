import Basics
import Foundation
import Imaging
import TestSupport
import Testing

@testable import EvaluatorStage

/// What `picoflow predict` takes and writes beside single images' overlays, which EvaluatorTests has.
extension EvaluatorTests {
    /// Whether there is an ffmpeg; without it videos are refused.
    static let hasFFmpeg = (try? FFmpeg.program(for: "x")) != nil

    private func predict(_ files: Files, _ arguments: String...) throws -> [String] {
        var lines: [String] = []
        try PredictJob.run(
            PredictJob.Options(arguments: files.arguments + ["--out", files.path + "/out"] + arguments)
        ) { lines.append($0) }
        return lines
    }

    private func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    @Test func predictTakesFoldersAndWritesPicturesBesideEachOther() throws {
        let files = try Files()
        try DurableFile.write("no image", to: files.path + "/data/val/notes.txt")
        try DurableFile.write("what a Mac notes beside an image", to: files.path + "/data/val/._scene0.png")
        let lines = try predict(files, "--side-by-side", "yes", "--legend", "yes", files.path + "/data/val")
        #expect(lines.count == 4)
        #expect(
            names(files.path + "/out") == [
                "legend.svg", "scene0-overlay.png", "scene0-side-by-side.png", "scene1-overlay.png",
                "scene1-side-by-side.png",
            ])
        let strip = try ImageFile.readImage(files.path + "/out/scene1-side-by-side.png")
        let picture = try ImageFile.readImage(files.path + "/data/val/scene1.png")
        let overlay = try ImageFile.readImage(files.path + "/out/scene1-overlay.png")
        #expect(strip.width == 120 && strip.height == 24)
        for (x, y) in [(0, 0), (39, 23), (17, 5)] {
            #expect(strip[x, y] == picture[x, y] && strip[80 + x, y] == overlay[x, y])
            #expect(Palette.camvid.contains(strip[40 + x, y]))
        }
        let legend = try String(contentsOfFile: files.path + "/out/legend.svg", encoding: .utf8)
        #expect(legend.contains("fill=\"rgb(128,64,128)\"") && legend.contains(">Road</text>"))
        #expect(legend.components(separatedBy: "<text").count == 12)
    }

    @Test func foldersWithoutImagesAreExplained() throws {
        let files = try Files()
        let error = #expect(throws: UserError.self) { _ = try predict(files, files.run) }
        #expect(error?.description == "\(files.run): holds no .jpg, .jpeg or .png image and no video")
    }

    @Test func videosWithoutFFmpegSayHowToGetIt() throws {
        let error = #expect(throws: UserError.self) { _ = try FFmpeg.program("no-such-ffmpeg", for: "street.mp4") }
        #expect(
            error?.description
                == "street.mp4: videos need no-such-ffmpeg, which is not in PATH; install it (Debian: apt-get install ffmpeg), or predict the video's frames as images"
        )
    }

    /// Frames of odd sides, each of one colour.
    private func video(_ path: String, frames: Int) throws {
        let writer = try VideoWriter(path, width: 41, height: 25, rate: "5")
        for frame in 0..<frames {
            try writer.append(
                Image(width: 41, height: 25) { target in
                    for i in 0..<target.count { target[i] = UInt8(40 + 60 * frame) }
                })
        }
        try writer.finish()
    }

    @Test(.enabled(if: hasFFmpeg, "ffmpeg is needed")) func framesOfAVideoComeInTheirOrder() throws {
        let folder = try TemporaryFolder("video")
        try video(folder("v.mp4"), frames: 3)
        let reader = try VideoReader(folder("v.mp4"))
        #expect(reader.rate == "5/1")
        for frame in 0..<3 {
            let read = try #require(try reader.next())
            // Padded to even sides.
            #expect(read.width == 42 && read.height == 26)
            // Compression rounds.
            #expect(abs(Int(read[20, 12].green) - (40 + 60 * frame)) <= 6, "frame \(frame)")
        }
        #expect(try reader.next() == nil)
    }

    @Test(.enabled(if: hasFFmpeg, "ffmpeg is needed")) func predictLabelsEveryFrameOfAVideo() throws {
        let files = try Files()
        try video(files.path + "/drive.mp4", frames: 3)
        let lines = try predict(
            files, "--side-by-side", "yes", "--labels", files.path + "/labels", files.path + "/drive.mp4")
        #expect(lines.last?.hasPrefix("\(files.path)/out/drive-overlay.mp4: 3 frames, ") == true, "\(lines)")
        #expect(names(files.path + "/labels/drive") == ["000001.png", "000002.png", "000003.png"])
        for (name, width) in [("drive-overlay.mp4", 42), ("drive-side-by-side.mp4", 126)] {
            let reader = try VideoReader("\(files.path)/out/\(name)")
            var sizes: [[Int]] = []
            while let frame = try reader.next() { sizes.append([frame.width, frame.height]) }
            #expect(sizes == Array(repeating: [width, 26], count: 3), "\(name)")
        }
    }

    @Test(.enabled(if: hasFFmpeg, "ffmpeg is needed")) func damagedVideosAreNamed() throws {
        let files = try Files()
        try DurableFile.write("no video at all", to: files.path + "/bad.mp4")
        let error = #expect(throws: UserError.self) { _ = try predict(files, files.path + "/bad.mp4") }
        #expect(error?.description.hasPrefix(files.path + "/bad.mp4: ") == true)
        #expect(error?.description.contains("\n") == false)
    }
}
