import Foundation
import TestSupport
import Testing

@testable import Configuration

private func resolve(_ stages: String, programs: ThirdPartyPrograms? = nil) throws -> Topology {
    try Topology.resolve(yaml: "stages:\n" + stages, path: "t.yaml", programs: programs)
}

/// A third-party stage between loader and compute.
@Suite struct StageInBetweenTests {
    @Test func stageMayStandBetweenLoaderAndCompute() throws {
        let topology = try resolve(
            """
              loader:
              cutout: {kind: loader, samples: loader, exec: [cutout]}
              compute: {samples: cutout}
            """)
        #expect(topology.stage(named: "cutout")?.samples == "loader")
        #expect(topology.stage(named: "compute")?.samples == "cutout")
    }

    @Test func severalMayFollowOneAnother() throws {
        let topology = try resolve(
            """
              compute: {samples: blur}
              blur: {kind: loader, samples: cutout, exec: [blur]}
              cutout: {kind: loader, samples: loader, exec: [cutout]}
              loader:
            """)
        #expect(topology.stages.map(\.samples) == ["blur", "cutout", "loader", nil])
    }

    @Test func picoflowsOwnLoaderTakesNoSamples() {
        #expect(
            message { try resolve("  loader:\n  late: {kind: loader, samples: loader}\n  compute: {samples: late}\n") }
                == "t.yaml:3: stage 'late' reads its samples from files and takes none from 'loader'; a stage in between names its program by 'exec'"
        )
    }

    @Test func circlesAreFound() {
        #expect(
            message { try resolve("  a: {kind: loader, samples: a, exec: [a]}\n  compute: {samples: a}\n") }
                == "t.yaml:2: stage 'a' takes samples from itself")
        #expect(
            message {
                try resolve(
                    """
                      entry: {kind: loader, samples: a, exec: [x]}
                      a: {kind: loader, samples: b, exec: [x]}
                      b: {kind: loader, samples: c, exec: [x]}
                      c: {kind: loader, samples: a, exec: [x]}
                      compute: {samples: entry}
                    """)
            } == "t.yaml:3: stage 'a' takes samples in a circle: a from b from c from a")
    }

    @Test func wiringOfAStageInBetweenIsChecked() {
        #expect(
            message {
                try resolve("  loader:\n  cut: {kind: loader, samples: lodaer, exec: [x]}\n  compute: {samples: cut}\n")
            }
                == "t.yaml:3: stage 'cut' takes samples from 'lodaer'; did you mean 'loader'?")
        #expect(
            message {
                try resolve(
                    "  loader:\n  cut: {kind: loader, samples: loader, exec: [x]}\n  compute: {samples: loader}\n")
            }
                == "t.yaml:3: stage 'cut' serves nobody; no other stage names it")
    }
}

@Suite struct ThirdPartyProgramsTests {
    /// A folder with a program, a script and a file that is none, seen from there with its `bin` in the PATH.
    private func withPrograms<Result>(_ body: (ThirdPartyPrograms, _ folder: String) throws -> Result) throws -> Result
    {
        try withFiles(["bin/python": "#!/bin/sh\n", "tools/cut.py": "", "data.txt": ""]) { folder in
            #expect(chmod(folder + "/bin/python", 0o755) == 0)
            return try body(ThirdPartyPrograms(folder: folder, searchPath: "/nowhere:\(folder)/bin"), folder)
        }
    }

    @Test func pathsBecomeAbsoluteAndAProgramOfThePathStays() throws {
        try withPrograms { (programs, folder) throws in
            #expect(
                try programs.resolve(["python", "tools/cut.py", "--size", "0.4", "data.txt"])
                    == ["python", folder + "/tools/cut.py", "--size", "0.4", folder + "/data.txt"])
            #expect(try programs.resolve(["bin/python", "-c", "1"]) == [folder + "/bin/python", "-c", "1"])
            #expect(try programs.resolve(["\(folder)/bin/python"]) == ["\(folder)/bin/python"])
        }
    }

    @Test func whatIsMissingIsSaidWithFileAndLine() throws {
        try withPrograms { (programs, folder) throws in
            func trouble(_ exec: String) -> String {
                message {
                    try resolve("  loader:\n    exec: \(exec)\n  compute: {samples: loader}\n", programs: programs)
                }
            }
            #expect(trouble("[python, tools/cut.py]") == "")
            #expect(trouble("[pyhton, x]") == "t.yaml:3: stage 'loader': there is no program 'pyhton' in the PATH")
            #expect(
                trouble("[python, cut.py]")
                    == "t.yaml:3: stage 'loader': there is no file cut.py; paths are meant from the folder that picoflow is started in, \(folder)"
            )
            #expect(
                trouble("[./python]")
                    == "t.yaml:3: stage 'loader': there is no program ./python; paths are meant from the folder that picoflow is started in, \(folder)"
            )
            #expect(trouble("[/no/python]") == "t.yaml:3: stage 'loader': there is no program /no/python")
            #expect(trouble("[./data.txt]") == "t.yaml:3: stage 'loader': ./data.txt is not executable")
        }
    }

    @Test func withoutPlaceToLookNothingIsLookedUp() throws {
        #expect(
            try resolve("  loader: {exec: [pyhton, x.py]}\n  compute: {samples: loader}\n").stages[0].exec == [
                "pyhton", "x.py",
            ])
    }
}
