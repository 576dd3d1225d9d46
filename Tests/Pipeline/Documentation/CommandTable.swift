extension TreatmentRow {
    /// A few steps of two images instead of hours.
    private static let short = """
        --set schedule.iterations=4 --set schedule.batch=2 --set schedule.warmup=1 --set schedule.lrWarmup=1 \
        --set augmentation.crop=[48,64] --set evaluate.scales=[1] --set evaluate.flip=false
        """
    /// Longer than any test, so that commands for a run at work find one; it is stopped.
    private static let endless = """
        --set schedule.iterations=100000 --set schedule.batch=2 --set schedule.warmup=1 --set augmentation.crop=[48,64]
        """
    private static let tests = "these tests would run themselves"

    /// Condition: a run has done a step.
    private static func trains(_ run: String) -> String { "[ -s runs/\(run)/metrics.jsonl ]" }

    /// Condition: a run has done a step since this was asked for the first time.
    private static func goesOn(_ run: String) -> String {
        let steps = "$(wc -l < runs/\(run)/metrics.jsonl)"
        return "[ \(steps) -gt ${steps:=\(steps)} ]"
    }

    /// Every documented command that is not run as it stands. A row that no command needs fails the test as well.
    static let table: [TreatmentRow] = building + training + atWork + finished + long

    private static let building = [
        TreatmentRow("tools/test", .not(because: tests)),
        TreatmentRow("PICOFLOW_SCREENSHOTS=DIR tools/test", .not(because: tests)),
        TreatmentRow(".ci/run", .not(because: tests)),
        TreatmentRow("swift build", .not(because: "whoever runs these tests has built")),
        TreatmentRow(
            "swift format -i",
            .instead("swift format --help", because: "it would change the sources that are being tested")),
        // It builds and trains for minutes: here with a 'swift' that has built and a 'picoflow' whose launch has few steps.
        TreatmentRow(
            "tools/demo", .instead("PATH=\"$PWD/stand-ins:$PATH\" tools/demo", because: "see Clone.writeStandIns")),
    ]

    private static let training = [
        TreatmentRow("picoflow launch", .with(short)),
        // The plan, its checks and its empty table.
        TreatmentRow("picoflow sweep", .with("--table-only")),
        TreatmentRow(
            """
            picoflow launch Pipelines/local.yaml --recipe Configs/camvid/deeplabv3-mobilenetv2-pico.yaml \
            --set model.backbone=resnet50
            """,
            .instead(
                """
                picoflow recipe Configs/camvid/deeplabv3-mobilenetv2-pico.yaml --set model.backbone=resnet50 \
                --set model.pretrained=resnet50.pth
                """,
                because: "\(Pipeline.WeightsTests.self) train from imported weights of a smaller network")),
        TreatmentRow(
            "picoflow launch Pipelines/multi-gpu.yaml",
            .instead(
                "picoflow validate Pipelines/multi-gpu.yaml --recipe Configs/cityscapes/ocrnet-hrnetv2w48-pico.yaml",
                because: "it needs GPUs and Cityscapes")),
        TreatmentRow(
            "picoflow data check Configs/ade20k/hrnet-hrnetv2w48-pico.yaml",
            .instead(
                "picoflow data check Configs/camvid/quick-pico.yaml --set dataset.root=data/camvid",
                because: "it needs ADE20K; \(Pipeline.RecipesTests.self) check a tree like it")),
        TreatmentRow(
            "picoflow import resnet50.pth",
            .not(because: "\(Pipeline.WeightsTests.self) look into files; to compare all networks takes ten seconds")),
        TreatmentRow("picoflow import resnet50.pth --recipe", .with("")),
        TreatmentRow("picoflow recipes", .with("Configs/demo")),
        TreatmentRow("picoflow models", .with("mitb0 --size 64x96")),
        TreatmentRow("picoflow doctor", .instead("picoflow doctor || [ $? = 1 ]", because: "1 is about this machine")),
    ]

    private static let atWork = [
        TreatmentRow(
            "picoflow launch Pipelines/local.yaml --recipe Configs/demo/pico.yaml --run runs/first --dashboard",
            .beside("0 \(endless)", once: "\(trains("first")) && grep -q 'dashboard at http' $output")),
        TreatmentRow(
            "picoflow launch Pipelines/local.yaml --recipe Configs/camvid/quick-pico.yaml --run runs/quick",
            .beside(endless, once: trains("quick"))),
        TreatmentRow("picoflow launch --resume runs/first", .until(goesOn("first"))),
        TreatmentRow("picoflow top", .with("--once")),
        // The documented port may be another's.
        TreatmentRow(
            "picoflow dashboard --run runs/quick",
            .until("grep -q 'http://127.0.0.1' $output", of: "picoflow dashboard 0 --run runs/quick")),
        TreatmentRow(
            "picoflow swap miner --exec 'python3 tools/examples/miner.py'", needs: ["zmq", "numpy"], .with("")),
        TreatmentRow(
            "picoflow launch Pipelines/two-hosts.yaml --recipe Configs/demo/pico.yaml --run runs/shared",
            .beside(endless, once: trains("shared"))),
        // This machine is the head too, and has fewer processors.
        TreatmentRow(
            "picoflow join tcp://head:5810 --key gpu2.key",
            .until(
                "grep -q 'started miner' $output",
                of: "picoflow join tcp://127.0.0.1:$port --key gpu2.key --stage loader=1,miner=1 --logs away")),
        TreatmentRow(
            "picoflow launch Pipelines/two-hosts.yaml --recipe Configs/camvid/quick-pico.yaml",
            .instead(
                "picoflow validate Pipelines/two-hosts.yaml --recipe Configs/camvid/quick-pico.yaml",
                because: "the README's is launched and joined")),
        TreatmentRow(
            "picoflow join tcp://head:5810 --key gpu3.key",
            .instead("picoflow help join", because: "the README's is launched and joined")),
        TreatmentRow(
            "picoflow stop --run runs/two",
            .instead("picoflow help stop", because: "the README's is launched and joined")),
    ]

    private static let finished = [
        TreatmentRow("tensorboard", .not(because: "\(Pipeline.TensorBoardTests.self) read the event files")),
        TreatmentRow(
            "python3 tools/examples/after_training.py", needs: ["torch", "numpy", "safetensors", "PIL"], .with("")),
    ]

    /// What takes minutes.
    private static let long = [
        TreatmentRow("tools/chaos", .not(because: "\(Pipeline.ChaosTests.self) run it")),
        TreatmentRow("tools/test-hosts", .not(because: "\(Pipeline.HostsTests.self) run it")),
        TreatmentRow(
            "tools/test-slurm", .instead("bash -n tools/test-slurm", because: "it installs and starts Slurm as root")),
        TreatmentRow("tools/check-kubernetes", needs: ["kubernetes_validate"], .with(".build/release")),
        TreatmentRow("tools/fuzz live", .not(because: "\(Pipeline.FuzzTests.self) do the same to another run")),
        TreatmentRow("tools/fuzz decoders", .with("--inputs 2000")),
        TreatmentRow("tools/bench pool", .with("--workers 2 --seconds 0.1 --rounds 1 --transports ipc")),
        TreatmentRow("tools/bench loader", .with("--help")),
        TreatmentRow("tools/bench mining", .with("--help")),
        TreatmentRow("tools/bench step", .with("--help")),
        TreatmentRow("tools/bench loss", .with("--help")),
        TreatmentRow("tools/bench training", .with("--help")),
        TreatmentRow("tools/bench overheads", .with("--help")),
        TreatmentRow("tools/bench growth", .with("--help")),
        TreatmentRow(
            "tools/bench --check", .instead("tools/bench check --help", because: "ratios need a quiet machine")),
        TreatmentRow("python3 -m venv venv", .not(because: "it downloads PyTorch")),
    ]
}
