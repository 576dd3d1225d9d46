import ArgumentParser
import Basics
import BenchKit
import Configuration
import Datasets
import Foundation
import Imaging

/// One process's measurement of making training samples, on one thread.
struct LoaderMeasurement: Codable {
    /// Processor time of a sample, from its files to the bytes of its message, in milliseconds.
    var sample: Double
    /// Of that, reading the files and decoding the pixels and labels that the crop keeps.
    var decode: Double
    /// Samples in all.
    var samples: Int
}

/// `loader-case`: one dataset in a process of its own.
struct LoaderCase: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "loader-case", shouldDisplay: false)

    @Option var root: String
    @Option(parsing: .upToNextOption) var crop: [Int]
    @Option var seconds: Double

    func run() throws {
        var dataset = DatasetSettings()
        dataset.root = root
        let description = root + "/dataset.yaml"
        if FileManager.default.fileExists(atPath: description) {
            dataset.kind = .folder
            dataset.description = description
        }
        let index = try Dataset.open(dataset, cache: nil)
        let files = try index.samples(of: dataset.split)
        var settings = AugmentationSettings()
        settings.crop = crop

        var (decode, sample, samples) = (0.0, 0.0, 0)
        /// - Returns: processor time of both parts of the work.
        func make(_ number: Int) throws -> (decode: Double, all: Double) {
            let started = Usage.cpu
            let source = try Dataset.readCrop(
                files[number % files.count], mapping: index.labelMapping, settings: settings, seed: UInt64(number))
            let decoded = Usage.cpu
            _ = source.augmented(padding: RGB8(124, 116, 104))
            return (decoded - started, Usage.cpu - started)
        }
        // Files into the page cache, pages into the allocator.
        for number in 0..<files.count { _ = try make(number) }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        while clock.now < end || samples < 20 {
            // Other seeds than those of the round before.
            let time = try make(files.count + samples)
            (decode, sample, samples) = (decode + time.decode, sample + time.all, samples + 1)
        }
        let measurement = LoaderMeasurement(
            sample: 1000 * sample / Double(samples), decode: 1000 * decode / Double(samples), samples: samples)
        print(String(decoding: try JSONEncoder().encode(measurement), as: UTF8.self))
    }
}
