/// A run as a Slurm job: one batch script with one `srun` per stage group.
extension RenderPlan {
    /// Replicas of one task: as many as a machine's cores take without being asked for as a whole.
    private static let replicasPerTask = 8

    /// `sbatch NAME.sbatch` starts the run or, where its directory is there, goes on with it.
    public func slurm() -> [File] {
        // A job's parts of different size are what Slurm calls a heterogeneous job.
        let parts =
            [directives(tasks: 1, cores: headCores, gpus: headGPUs)]
            + groups.map { directives(tasks: tasks($0), cores: coresPerTask($0), gpus: $0.gpus) }
        let head = launch(run: "\"$run\"", topology: Shell.quoted(topologyPath), recipe: Shell.quoted(recipePath))
        let text = """
            #!/usr/bin/env bash
            # The run '\(name)' as a Slurm job, written by 'picoflow render slurm'.
            #
            #   sbatch \(name).sbatch
            #
            # Submitted from the folder that the paths below are meant from, which all nodes see. A job that is requeued, or
            # submitted again, goes on from the newest checkpoint. Before the time limit the run stops with a checkpoint.
            #SBATCH --job-name=picoflow-\(name)
            #SBATCH --output=picoflow-\(name)-%j.log
            #SBATCH --open-mode=append
            #SBATCH --requeue
            # Two minutes before the limit, to this script alone.
            #SBATCH --signal=B:TERM@120
            \(parts.joined(separator: "\n#SBATCH hetjob\n"))

            set -euo pipefail
            run=${PICOFLOW_RUN:-runs/\(name)}
            steps=()
            \(groups.isEmpty ? "" : workersSetUp)
            trap 'picoflow stop --run "$run"' TERM
            # The head: \(headStages).
            if [ -e "$run/recipe.yaml" ]; then
                # Slurm has ended the processes of a job that is over or requeued, whichever node they were on.
                last=$(cat "$run.job" 2>/dev/null || true)
                if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] ||
                    { [ -n "$last" ] && jobs=$(squeue -h --me -o %A 2>/dev/null) && ! grep -qx "$last" <<<"$jobs"; }; then
                    rm -f "$run/processes.json"
                fi
                launch=(\(head.resume.joined(separator: " ")))
            else
                launch=(\(head.new.joined(separator: " ")))
            fi
            mkdir -p "$(dirname "$run")"
            echo "${SLURM_JOB_ID:-}" >"$run.job"
            srun \(groups.isEmpty ? "" : "--het-group=0 ")--ntasks=1 --cpus-per-task=\(headCores) "${launch[@]}" &
            head=$!
            \(groups.enumerated().map { join($1, component: $0 + 1) }.joined(separator: "\n"))
            # A signal ends 'wait'; the run still has its checkpoint to write. How it ended is asked once it is gone.
            wait "$head" || true
            while kill -0 "$head" 2>/dev/null; do wait "$head" || true; done
            code=0
            wait "$head" || code=$?
            [ ${#steps[@]} -eq 0 ] || kill "${steps[@]}" 2>/dev/null || true
            exit "$code"

            """
        // What is not needed leaves no empty lines behind.
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty, lines.last?.isEmpty ?? false { continue }
            lines.append(line)
        }
        return [File(name: "\(name).sbatch", text: lines.joined(separator: "\n"), isExecutable: true)]
    }

    private func tasks(_ group: Group) -> Int { (group.replicas + Self.replicasPerTask - 1) / Self.replicasPerTask }

    private func coresPerTask(_ group: Group) -> Int {
        (group.replicas + tasks(group) - 1) / tasks(group) * group.threads
    }

    private var headStages: String {
        let leaving = Set(groups.map(\.stage))
        return topology.stages(for: recipe).filter { !leaving.contains($0.name) }.map(\.name).joined(separator: ", ")
    }

    private func directives(tasks: Int, cores: Int, gpus: Int) -> String {
        var lines = ["#SBATCH --ntasks=\(tasks)", "#SBATCH --cpus-per-task=\(cores)"]
        if gpus > 0 { lines.append("#SBATCH --gpus-per-task=\(gpus)") }
        return lines.joined(separator: "\n")
    }

    /// The workers' key, and a name of the head that they find it by.
    private var workersSetUp: String {
        """
        head_host=$(hostname -f)
        key=\(keyFile("slurm"))
        mkdir -p "$(dirname "$run")"
        [ -e "$key" ] || picoflow keys new \(newKey("slurm")) --out "$key"
        export PICOFLOW_JOIN="tcp://$head_host:\(port ?? 0)" PICOFLOW_KEY="$key" PICOFLOW_NAME="${run##*/}"
        """
    }

    /// Tasks share the replicas; the first ones take what does not divide.
    private func join(_ group: Group, component: Int) -> String {
        // A step does not take the number of cores from the job.
        let size = "--ntasks=\(tasks(group)) --cpus-per-task=\(coresPerTask(group))"
        let named = joined(#""$PICOFLOW_NAME""#)
        return """
            # \(group.replicas) \(group.stage).
            srun --het-group=\(component) \(size) bash -c '
                count=$((\(group.replicas) / SLURM_NTASKS + (SLURM_PROCID < \(group.replicas) % SLURM_NTASKS)))
                exec picoflow join "$PICOFLOW_JOIN" --key "$PICOFLOW_KEY" --stage \(group.stage)=$count\(named) \\
                    --logs "logs/\(name)-\(group.stage)-$SLURM_PROCID"' &
            steps+=($!)
            """
    }
}
