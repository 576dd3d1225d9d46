import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// Weights into a run and out of it, by the command line.
    @Suite struct WeightsTests {
        private func fixture(_ name: String) -> String {
            URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../WeightFilesTests/Fixtures/\(name)").standardizedFileURL.path
        }

        @Test func importListsAFileAndSaysWhatItFits() throws {
            let ending = try Playground().command("import", fixture("checkpoint.pth"))
            #expect(ending.code == 0, "\(ending)")
            let lines = ending.output.split(separator: "\n").map(String.init)
            #expect(lines.first == "module.0.weight  [2, 1, 2, 2] float32")
            #expect(lines.contains("\(fixture("checkpoint.pth")): 6 tensors, 17 values (torch.save, its 'state_dict')"))
            #expect(lines.contains("beside them: epoch, best, arguments, seed, optimizer"))
            #expect(lines.last == "it fits none of the networks at their published width and window")
        }

        @Test(arguments: [
            ("malicious.pth", "is no usable file of weights: it holds 'posix.system', not tensors alone"),
            ("old-format.pth", "is no usable file of weights: it was saved by PyTorch before 1.6"),
            ("make.py", "is no usable file of weights: it is neither a safetensors file nor one of torch.save"),
            ("none.pth", "cannot read "),
        ])
        func importSaysInOneLineWhatIsWrong(_ name: String, _ reason: String) throws {
            let ending = try Playground().command("import", fixture(name))
            #expect(ending.code == 1, "\(ending)")
            #expect(ending.errors.hasPrefix("picoflow: ") && ending.errors.contains(reason), "\(ending)")
            #expect(ending.errors.split(separator: "\n").count == 1)
        }

        /// Train, export in both formats, import the weights under another recipe, and train from what was imported.
        @Test func weightsGoOutAndComeBack() throws {
            let play = try Playground()
            let short = ["--set", "schedule={iterations: 2, warmup: 0, lrWarmup: 0}"]
            let first = try play.launch(short).wait()
            #expect(first.code == 0, "\(first)")

            let script = try play.command(
                "export", "--run", play.run, "--to", "network.pt", "--format", "torchscript", "--size", "40x56")
            #expect(
                script.code == 0 && script.output.contains("TorchScript for images of 40 x 56, 10 classes"), "\(script)"
            )
            #expect(
                FileManager.default.contents(atPath: play.folder("network.pt"))?.starts(with: Data("PK".utf8)) == true)

            let export = try play.command("export", "--run", play.run, "--to", "out.safetensors")
            #expect(export.code == 0, "\(export)")
            let taken = try play.command(
                "import", "out.safetensors", "--recipe", "recipe.yaml", "--output", "taken.safetensors")
            #expect(taken.code == 0, "\(taken)")
            #expect(
                taken.output.hasPrefix("network: deeplabv3 on mobilenetv2\nout.safetensors: 350 tensors loaded, "),
                "\(taken)")
            #expect(taken.output.contains("taken.safetensors: 350 tensors written"), "\(taken)")

            let other = play.folder("other")
            let second = try play.launch(short + ["--set", "model.pretrained=taken.safetensors"], run: other).wait()
            #expect(second.code == 0, "\(second)")
            let log = try String(contentsOfFile: other + "/logs/compute-1.log", encoding: .utf8)
            #expect(
                log.contains("pretrained weights: \(play.folder("taken.safetensors")): 350 tensors loaded"), "\(log)")
            #expect(log.contains("missing, so at their first values: projection.0, projection.1 (4)"), "\(log)")
        }

        @Test func exportSaysWhatItCannot() throws {
            let play = try Playground()
            let onnx = try play.command("export", "--to", "x.onnx", "--format", "onnx")
            #expect(onnx.code == 1 && onnx.errors.contains("then tools/export-onnx FILE.pt FILE.onnx"), "\(onnx)")
            let size = try play.command("export", "--to", "x.safetensors", "--size", "3x4")
            #expect(size.code == 64 && size.errors.contains("--size is for --format torchscript"), "\(size)")
        }
    }
}
