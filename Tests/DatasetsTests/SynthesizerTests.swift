import Basics
import Configuration
import Imaging
import Testing

@testable import Datasets

@Suite struct SynthesizerTests {
    private func small() -> Synthesizer.Options {
        var options = Synthesizer.Options()
        options.train = 12
        options.val = 4
        options.width = 96
        options.height = 72
        return options
    }

    @Test func theOrdinaryReaderReadsIt() throws {
        let scratch = try Scratch()
        var calls = 0
        let report = try Synthesizer.write(to: scratch.path + "/new", options: small()) { _, total in
            #expect(total == 16)
            calls += 1
        }
        #expect(calls == 17)
        var settings = DatasetSettings()
        settings.kind = .folder
        settings.description = report.description
        let index = try Dataset.open(settings)
        #expect(index.classes == Synthesizer.classes)
        #expect(try index.samples(of: "train").count == 12 && index.samples(of: "val").count == 4)
        let check = try DataCheck.run(settings)
        #expect(!check.hasProblems, "\(check.text())")
        #expect(check.splits[0].absentClasses.isEmpty, "\(check.text())")
        #expect(check.splits[0].sizes == [.init(size: "96x72", images: 12)])
    }

    @Test func theSameSeedGivesTheSameFilesAndAnotherSeedOthers() throws {
        let scratch = try Scratch()
        func hash(_ folder: String, seed: UInt64) throws -> String {
            var options = small()
            options.seed = seed
            options.train = 3
            options.val = 2
            _ = try Synthesizer.write(to: scratch.path + "/" + folder, options: options)
            var hash = SHA256()
            for name in [
                "train/00000.jpg", "train/00002.jpg", "trainannot/00001.png", "val/00001.jpg", "valannot/00000.png",
            ] {
                hash.update(SharedBytes(try scratch.bytes(folder + "/" + name)))
            }
            return hash.hex()
        }
        #expect(try hash("a", seed: 4) == hash("b", seed: 4))
        #expect(try hash("c", seed: 5) != hash("d", seed: 4))
    }

    @Test func scenesAreTheSameOnEveryMachine() {
        var hash = SHA256()
        for index in [0, 1, 2, 1 << 32] as [UInt64] {
            let sample = Synthesizer.render(options: small(), index: index)
            hash.update(sample.image.pixels)
            hash.update(sample.label.values)
        }
        #expect(hash.hex() == "08a948a1659cd840164ebf12352ac3f109be268e4d493d102bfadc7f2f3a25a5")
    }

    @Test func trainAndValDiffer() {
        #expect(
            Synthesizer.render(options: small(), index: 0).image
                != Synthesizer.render(options: small(), index: 1 << 32).image)
    }

    /// Colour alone must not decide: many pixels have a colour that other classes have, too.
    @Test func coloursOfClassesOverlap() {
        var counts: [Int: [Int]] = [:]  // per coarse colour, pixels per class
        for index in 0..<30 as Range<UInt64> {
            let sample = Synthesizer.render(options: small(), index: index)
            for y in 0..<72 {
                for x in 0..<96 where sample.label[x, y] != IgnoreLabel.value {
                    let color = sample.image[x, y]
                    let key = Int(color.red) / 16 << 8 | Int(color.green) / 16 << 4 | Int(color.blue) / 16
                    counts[key, default: [Int](repeating: 0, count: 10)][Int(sample.label[x, y])] += 1
                }
            }
        }
        let total = counts.values.reduce(0) { $0 + $1.reduce(0, +) }
        let best = counts.values.reduce(0) { $0 + $1.max()! }
        #expect(Double(best) / Double(total) < 0.75, "a lookup of colours is right for \(best) of \(total) pixels")
    }

    @Test func whatCannotBeWrittenIsSaid() throws {
        let scratch = try Scratch()
        try scratch.file("something", [1])
        #expect(message { _ = try Synthesizer.write(to: scratch.path) }.hasPrefix("\(scratch.path): is not empty"))
        #expect(
            message { _ = try Synthesizer.write(to: scratch.path + "/something/below") }.contains(
                "cannot make folder"))
        var options = small()
        options.width = 4
        #expect(message { _ = try Synthesizer.write(to: scratch.path + "/x", options: options) }.hasPrefix("size 4x72"))
        options = small()
        options.val = 0
        #expect(throws: UserError.self) { try Synthesizer.write(to: scratch.path + "/x", options: options) }
    }
}
