import Basics
import Foundation

/// The dashboard's page: one HTML text with its style and script in it, so that it needs no file beside the executable and
/// nothing from a network.
///
/// `Style.swift` is how it looks; the parts of the script are in `Script*.swift`: `core` fetches and keeps time, the others
/// draw one section each.
enum DashboardPage {
    static let html = Data(
        (head + "<style>" + style + "</style>\n" + body + "<script>" + script + "</script>\n</body></html>\n").utf8)

    /// As the Content-Security-Policy names them: nothing else runs on the page.
    static let styleHash = hash(style)
    static let scriptHash = hash(script)

    private static let script = [
        coreScript, graphScript, processScript, plotScript, memoryScript, pictureScript, actionScript, startScript,
    ].joined(separator: "\n")

    private static func hash(_ text: String) -> String {
        let hex = Array(SHA256.hex(text))
        let bytes = stride(from: 0, to: hex.count, by: 2).map { UInt8(String(hex[$0...$0 + 1]), radix: 16)! }
        return "sha256-" + Data(bytes).base64EncodedString()
    }

    private static let head = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>PicoFlow</title>
        <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='3.5' cy='8' r='2.5' fill='%232f6fde'/%3E%3Ccircle cx='12.5' cy='4' r='2.5' fill='%2312996b'/%3E%3Ccircle cx='12.5' cy='12' r='2.5' fill='%23b3541e'/%3E%3Cpath d='M5 7l6-2.4M5 9l6 2.4' stroke='%23888' stroke-width='1.2'/%3E%3C/svg%3E">

        """#

    private static let body = #"""
        </head>
        <body>
        <header>
          <div class="title">
            <h1 id="run">PicoFlow</h1>
            <span id="phase" class="pill">connecting</span>
            <span class="grow"></span>
            <button id="swap" type="button" disabled>Swap miners…</button>
            <button id="stop" type="button" class="danger" disabled>Stop…</button>
          </div>
          <progress id="progress" max="1" value="0" aria-label="Training steps done"></progress>
          <dl id="facts"></dl>
          <p id="news" hidden></p>
        </header>
        <p id="banner" role="alert" hidden></p>
        <main>
          <section aria-labelledby="h-graph" class="wide">
            <h2 id="h-graph">Topology</h2>
            <div id="graph"><svg id="edges" aria-hidden="true"></svg></div>
            <ul id="links" class="visually-hidden" aria-label="Links and their rates"></ul>
          </section>
          <section aria-labelledby="h-plots" class="wide">
            <h2 id="h-plots">Curves</h2>
            <div id="plots"></div>
          </section>
          <section aria-labelledby="h-pictures" class="wide" id="s-pictures" hidden>
            <h2 id="h-pictures">Validation <small id="pictures-step"></small></h2>
            <div id="pictures"></div>
          </section>
          <section aria-labelledby="h-memory" id="s-memory">
            <h2 id="h-memory">Memory <small id="memory-step"></small></h2>
            <p id="memory-none" class="faint">A plot of the embeddings appears with the first checkpoint that holds a memory.</p>
            <div id="memory" hidden>
              <canvas id="memory-canvas" role="img" aria-label="Embeddings in the memory, projected to two dimensions"></canvas>
              <div id="memory-legend" role="group" aria-label="Classes shown"></div>
            </div>
          </section>
          <section aria-labelledby="h-processes" id="s-processes">
            <h2 id="h-processes">Processes</h2>
            <div class="scroll" tabindex="0" role="region" aria-labelledby="h-processes">
              <table>
                <thead><tr><th scope="col">Process</th><th scope="col">Doing</th><th scope="col" class="n">CPU</th>
                <th scope="col" class="n">Memory</th><th scope="col" class="n">Tickets/s</th>
                <th scope="col" class="n">Restarts</th><th scope="col">Host</th><th scope="col" class="n">PID</th></tr></thead>
                <tbody id="processes"></tbody>
              </table>
            </div>
          </section>
          <section aria-labelledby="h-log" class="wide">
            <h2 id="h-log">Log</h2>
            <label>of <select id="log-of"><option value="">everybody</option></select></label>
            <pre id="log" tabindex="0" aria-labelledby="h-log"></pre>
          </section>
        </main>
        <div id="toast" role="status" aria-live="polite"></div>
        <dialog id="swap-dialog" aria-labelledby="swap-title">
          <form id="swap-form">
            <h2 id="swap-title">Swap the miners' settings</h2>
            <p class="faint">They hold from one step on, the next possible where no step is named, and stand in the run's journal.</p>
            <div class="fields">
              <label>Stage <select name="stage"></select></label>
              <label>Sampling <select name="sampler.strategy"><option>semi-hard</option><option>hardest</option><option>random</option></select></label>
              <label>Positives <input name="sampler.positives" inputmode="numeric" autocomplete="off"></label>
              <label>Negatives <input name="sampler.negatives" inputmode="numeric" autocomplete="off"></label>
              <label>Temperature <input name="contrast.temperature" inputmode="decimal" autocomplete="off"></label>
              <label>Synthesis <select name="synthesis.enabled"><option>true</option><option>false</option></select></label>
              <label>From step <input name="atStep" inputmode="numeric" placeholder="next" autocomplete="off"></label>
              <label>More <input name="more" placeholder="KEY=VALUE …" autocomplete="off"></label>
            </div>
            <p id="swap-error" role="alert" class="bad" hidden></p>
            <div class="buttons"><button type="button" id="swap-cancel">Cancel</button><button type="submit" class="main">Swap</button></div>
          </form>
        </dialog>
        <dialog id="stop-dialog" aria-labelledby="stop-title">
          <form id="stop-form">
            <h2 id="stop-title">Stop this run?</h2>
            <p>It ends after the step in hand, with a checkpoint. <code>picoflow launch --resume</code> goes on from there.</p>
            <div class="buttons"><button type="button" id="stop-cancel">Keep training</button><button type="submit" class="danger">Stop</button></div>
          </form>
        </dialog>

        """#
}
