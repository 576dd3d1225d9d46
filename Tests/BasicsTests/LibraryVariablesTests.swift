import Testing

@testable import Basics

@Suite struct LibraryVariablesTests {
    @Test func kernelsAreThoseThatTheProcessorRuns() {
        let avx2: Set = ["sse4_2", "avx", "avx2", "fma"]
        let avx512 = avx2.union(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])
        func kernels(_ features: Set<String>) -> String? {
            LibraryVariables.kernels(for: features)["OPENBLAS_CORETYPE"]
        }
        #expect(kernels(avx512.union(["avx512_bf16", "amx_tile"])) == "SkylakeX")
        #expect(kernels(avx512) == "SkylakeX")
        #expect(kernels(avx512.subtracting(["avx512bw"])) == "Haswell")
        #expect(kernels(avx2) == "Haswell")
        #expect(kernels(["sse4_2", "avx"]) == nil)
        // An ARM processor's, whose models OpenBLAS tells apart by itself.
        #expect(kernels(["fp", "asimd", "sve"]) == nil)
    }

    @Test func whatIsSetAlreadyStays() {
        let own = ["OPENBLAS_CORETYPE": "Zen", "OMP_WAIT_POLICY": "active", "HOME": "/h"]
        let all = LibraryVariables.added(to: own)
        #expect(all.merging(own) { $1 } == all)
        #expect(all["GOMP_SPINCOUNT"] != nil)
        #expect(
            LibraryVariables.added(to: [:])["OPENBLAS_CORETYPE"] == LibraryVariables.kernels["OPENBLAS_CORETYPE"])
    }
}
