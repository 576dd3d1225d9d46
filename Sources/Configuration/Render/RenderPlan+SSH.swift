/// A run as a shell script of ssh commands, for machines without a scheduler.
extension RenderPlan {
    /// `./NAME.sh HEAD WORKER…` starts the run on one machine and its workers on the others, and ends with the run.
    public func ssh() -> [File] {
        let head = launch(run: "\"$run\"", topology: Shell.quoted(topologyPath), recipe: Shell.quoted(recipePath))
        let usage = groups.isEmpty ? "HEAD" : "HEAD WORKER…"
        let text = """
            #!/usr/bin/env bash
            # The run '\(name)' over ssh, written by 'picoflow render ssh'.
            #
            #   ./\(name).sh \(usage)
            #
            # All machines have picoflow in the PATH and the dataset at the recipe's place; the head has the recipe and the topology in the
            # folder PICOFLOW_FOLDER (the home folder where not set). Ctrl-C stops the run with a checkpoint; the same command
            # goes on with it.
            set -euo pipefail
            [ $# -ge \(groups.isEmpty ? 1 : 2) ] || { echo "usage: $0 \(usage)" >&2; exit 64; }
            head=$1
            shift
            run=${PICOFLOW_RUN:-runs/\(name)}
            folder=${PICOFLOW_FOLDER:-.}
            # What the head's shell executes, with our own variables filled in.
            on_head() { ssh "$head" "cd $(printf %q "$folder") && run=$(printf %q "$run") && $1"; }
            trap 'on_head "picoflow stop --run \\"\\$run\\""' INT TERM
            \(groups.isEmpty ? "" : sshWorkers)
            code=0
            on_head '
                if [ -e "$run/recipe.yaml" ]; then
                    \(head.resume.joined(separator: " "))
                else
                    \(Self.inQuotes(head.new.joined(separator: " ")))
                fi' || code=$?
            \(groups.isEmpty ? "" : "kill \"${workers[@]}\" 2>/dev/null || true\nwait")
            exit "$code"

            """
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let kept = lines.indices.filter { !(lines[$0].isEmpty && $0 + 1 < lines.count) }.map { lines[$0] }
        return [File(name: "\(name).sh", text: kept.joined(separator: "\n"), isExecutable: true)]
    }

    /// Single quotes inside of single quotes.
    private static func inQuotes(_ text: String) -> String {
        text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#)
    }

    private var sshWorkers: String {
        let joins = groups.map { group in
            "    count=$((\(group.replicas) / $# + (index < \(group.replicas) % $#)))\n"
                + "    [ $count -eq 0 ] || stages+=(--stage \(group.stage)=$count)"
        }
        return """
            # One key for all workers. It goes from the head to each of them and stays with us no longer than this script.
            key=$(mktemp)
            trap 'rm -f "$key"' EXIT
            on_head 'mkdir -p "$(dirname "$run")"; key=\(keyFile("ssh")); [ -e "$key" ] || picoflow keys new \(Self.inQuotes(newKey("ssh"))) --out "$key" >&2; cat "$key"' >"$key"
            workers=()
            index=0
            for host in "$@"; do
                stages=()
            \(joins.joined(separator: "\n"))
                index=$((index + 1))
                [ ${#stages[@]} -gt 0 ] || continue
                ssh "$host" "umask 077; cat >picoflow-\(name).key" <"$key"
                # A terminal of its own, so that the worker ends with our connection.
                ssh -tt "$host" "picoflow join tcp://${head##*@}:\(port ?? 0) --key picoflow-\(name).key ${stages[*]}\(joined(#"$(printf %q "${run##*/}")"#))" </dev/null &
                workers+=($!)
            done
            """
    }
}
