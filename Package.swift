// swift-tools-version: 6.0
import Foundation
import PackageDescription

// Debian's libtorch (1.13, C++17) is the default. `LIBTORCH=/path/to/torch` selects another one, for instance
// the folder of a pip-installed PyTorch 2.x, whose headers need C++20. Such a copy is linked by full path:
// with -ltorch_cpu the system's copy would be found first.
// Its path becomes part of the executables, which run in any folder.
let libtorch = Context.environment["LIBTORCH"].flatMap { $0.isEmpty ? nil : $0 }.map {
    URL(fileURLWithPath: $0, relativeTo: URL(fileURLWithPath: Context.packageDirectory, isDirectory: true))
        .standardizedFileURL.path
}

let torchHeaders: [String] =
    libtorch.map {
        ["-isystem", "\($0)/include", "-isystem", "\($0)/include/torch/csrc/api/include"]
    } ?? ["-isystem", "/usr/include/torch/csrc/api/include"]

let torchLinking: [LinkerSetting] =
    libtorch.map {
        [
            .unsafeFlags([
                "\($0)/lib/libtorch_cpu.so", "\($0)/lib/libc10.so", "-Xlinker", "-rpath", "-Xlinker", "\($0)/lib",
            ])
        ]
    } ?? [.linkedLibrary("torch_cpu"), .linkedLibrary("c10")]

// Several compute ranks sum their gradients by libtorch's Gloo, whose headers want Gloo's own, of the same version:
// Debian's libgloo-dev for Debian's libtorch, and for another copy what it brings itself. SwiftPM remembers what this file
// has found, whatever is installed later, so it looks only where it must.
let gloo = libtorch.map { FileManager.default.fileExists(atPath: "\($0)/include/gloo/context.h") } ?? true

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let flyingFox = Target.Dependency.product(name: "FlyingFox", package: "FlyingFox")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

/// What a stage executable or its library may depend on; libtorch comes in through `Tensors` alone, so that
/// loader, bank, miner and the command line do not link it.
let package = Package(
    name: "PicoFlow",
    products: [
        .executable(name: "picoflow", targets: ["picoflow"]),
        .executable(name: "picoflow-loader", targets: ["picoflow-loader"]),
        .executable(name: "picoflow-compute", targets: ["picoflow-compute"]),
        .executable(name: "picoflow-bank", targets: ["picoflow-bank"]),
        .executable(name: "picoflow-miner", targets: ["picoflow-miner"]),
        .executable(name: "picoflow-evaluator", targets: ["picoflow-evaluator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/swhitty/FlyingFox", .upToNextMinor(from: "0.27.1")),
    ],
    targets: [
        // Shims and system modules: nothing clever.
        .target(
            name: "CTorch",
            cxxSettings: [
                .unsafeFlags(torchHeaders + ["-Wno-deprecated-declarations"] + (gloo ? ["-DUSE_C10D_GLOO"] : []))
            ],
            linkerSettings: torchLinking),
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CTurboJPEG", pkgConfig: "libturbojpeg", providers: [.apt(["libturbojpeg0-dev"])]),
        .target(name: "CJPEG", linkerSettings: [.linkedLibrary("jpeg")]),
        .target(name: "CPixels"),
        .target(name: "CVectors"),
        .systemLibrary(name: "CPNG", pkgConfig: "spng", providers: [.apt(["libspng-dev"])]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CPidFD"),
        .systemLibrary(name: "CTimex"),
        .systemLibrary(name: "CStatFS"),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // Libraries, in the order of their dependence.
        .target(name: "Basics", dependencies: ["CCrypto"]),
        .target(name: "Configuration", dependencies: ["Basics", yams]),
        .target(name: "Tensors", dependencies: ["Basics", "CTorch"]),
        .target(name: "NN", dependencies: ["Tensors"]),
        .target(name: "WeightFiles", dependencies: ["Basics", "CZip"]),
        .target(
            name: "Models", dependencies: ["NN", "Configuration", "WeightFiles"], exclude: ["README.md", "COST.md"]),
        .target(
            name: "Imaging",
            dependencies: ["Basics", "Configuration", "CTurboJPEG", "CJPEG", "CPixels", "CPNG", "CISAL", "CZlib"]),
        .target(name: "Datasets", dependencies: ["Basics", "Configuration", "Imaging", "CStatFS", yams]),
        .target(name: "Contrast", dependencies: ["Basics", "Configuration", "CVectors"]),
        .target(
            name: "Wire", dependencies: ["Basics", "CZeroMQ", collections],
            exclude: ["PROTOCOL.md", "CAPACITY.md"]),

        // What each stage does with the above; one folder per stage.
        .target(name: "StageKit", dependencies: ["Wire", "Configuration", logging], path: "Sources/Stages/Kit"),
        .target(
            name: "LoaderStage", dependencies: ["StageKit", "Imaging", "Datasets"], path: "Sources/Stages/Loader"),
        .target(
            name: "ComputeStage", dependencies: ["StageKit", "Models", "Contrast", "Imaging"],
            path: "Sources/Stages/Compute"),
        .target(name: "MemoryKit", dependencies: ["StageKit", "Contrast"], path: "Sources/Stages/Memory"),
        .target(name: "BankStage", dependencies: ["MemoryKit"], path: "Sources/Stages/Bank"),
        .target(name: "MinerStage", dependencies: ["MemoryKit"], path: "Sources/Stages/Miner"),
        .target(
            name: "EvaluatorStage", dependencies: ["StageKit", "Models", "Imaging", "Datasets"],
            path: "Sources/Stages/Evaluator"),
        .target(name: "Supervisor", dependencies: ["StageKit", "Datasets", "CPidFD", "CTimex"]),
        .target(name: "Dashboard", dependencies: ["Supervisor", "MemoryKit", flyingFox]),
        .target(name: "Report", dependencies: ["Supervisor"]),

        // Bad peers, for `tools/fuzz` and tests.
        .target(name: "Fuzzing", dependencies: ["Supervisor", "MemoryKit", "WeightFiles"]),

        // Executables: main files only.
        .executableTarget(
            name: "picoflow", dependencies: ["Supervisor", "Dashboard", "Report", "Datasets", arguments]),
        .executableTarget(name: "picoflow-loader", dependencies: ["LoaderStage"]),
        .executableTarget(name: "picoflow-compute", dependencies: ["ComputeStage"]),
        .executableTarget(name: "picoflow-bank", dependencies: ["BankStage"]),
        .executableTarget(name: "picoflow-miner", dependencies: ["MinerStage"]),
        .executableTarget(name: "picoflow-evaluator", dependencies: ["EvaluatorStage"]),

        // What `tools/bench` and `tools/fuzz` run.
        .target(name: "BenchKit", dependencies: ["Basics"]),
        .executableTarget(
            name: "picoflow-bench",
            dependencies: ["BenchKit", "Wire", "Contrast", "Datasets", "COpenBLAS", arguments]),
        .executableTarget(name: "picoflow-bench-torch", dependencies: ["BenchKit", "ComputeStage", arguments]),
        .executableTarget(name: "picoflow-fuzz", dependencies: ["Fuzzing", arguments]),

        // Tests mirror Sources.
        .target(name: "TestSupport", dependencies: ["Basics", "CZlib"]),
        .testTarget(name: "BasicsTests", dependencies: ["Basics", "TestSupport"]),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors", "TestSupport"]),
        .testTarget(name: "NNTests", dependencies: ["NN", "TestSupport"]),
        .testTarget(
            name: "WeightFilesTests", dependencies: ["WeightFiles", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "ModelsTests", dependencies: ["Models", "TestSupport"], exclude: ["Parity"]),
        .testTarget(name: "ImagingTests", dependencies: ["Imaging", "TestSupport"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "TestSupport"]),
        .testTarget(name: "ContrastTests", dependencies: ["Contrast", "CVectors", "TestSupport"]),
        .testTarget(name: "WireTests", dependencies: ["Wire", "TestSupport"]),
        .testTarget(name: "MemoryKitTests", dependencies: ["BankStage", "MinerStage", "TestSupport"]),
        .testTarget(
            name: "ConfigurationTests", dependencies: ["Configuration", "TestSupport", yams], exclude: ["Golden"]),
        .testTarget(
            name: "StagesTests",
            dependencies: ["LoaderStage", "ComputeStage", "BankStage", "MinerStage", "EvaluatorStage", "TestSupport"]),
        .testTarget(name: "SupervisorTests", dependencies: ["Supervisor", "TestSupport"]),
        .testTarget(name: "DashboardTests", dependencies: ["Dashboard", "BankStage", "TestSupport"]),
        .testTarget(name: "ReportTests", dependencies: ["Report", "TestSupport"]),
        .testTarget(name: "FuzzingTests", dependencies: ["Fuzzing", "Tensors", "TestSupport"]),
        .testTarget(
            name: "PipelineTests", dependencies: ["Supervisor", "Datasets", "Imaging", "Fuzzing", "TestSupport"],
            path: "Tests/Pipeline", exclude: ["Browser"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: libtorch == nil ? .cxx17 : .cxx20
)

// CI refuses warnings in our own code; those of dependencies are not ours to mend.
if Context.environment["CI"] != nil {
    for target in package.targets where target.type != .system && target.name != "CTorch" {
        target.swiftSettings = [.unsafeFlags(["-warnings-as-errors"])]
    }
}
