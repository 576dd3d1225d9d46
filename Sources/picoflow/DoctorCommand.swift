import ArgumentParser
import Basics
import Supervisor

/// `picoflow doctor`: will runs work here?
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look whether runs will work on this machine, and how they would work better.",
        discussion: """
            picoflow doctor
            picoflow doctor --json

            Looks at the stages' programs, libtorch with its BLAS and GPUs, the processor, memory, limits, sockets, disk
            and clock, and says for each what to do if anything. Exits with 1 where a run will not work.
            """)

    @OptionGroup var output: ResultOptions

    func run() throws {
        let folder = try SupervisorRunner.Environment.ofThisProcess().executables
        let diagnosis = Diagnosis(.read(programsIn: folder))
        try output.show(diagnosis, diagnosis.text)
        if diagnosis.isBroken { throw ExitCode.failure }
    }
}
