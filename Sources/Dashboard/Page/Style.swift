extension DashboardPage {
    /// Light and dark as the system has it; one column on a phone.
    static let style = #"""

        :root {
          --back: #f4f5f7; --card: #fff; --ink: #1c2230; --faint: #626b7c; --line: #d9dde5; --hover: #eef1f6;
          --accent: #2257c5; --good: #0b7a53; --bad: #b3261e; --warn: #8f5a00; --grid: #e8ebf0; --shade: 0 1px 2px #10182814;
          --loader: #2257c5; --compute: #7a3cc2; --bank: #8f5a00; --miner: #0b7a53; --evaluator: #a12b6b; --picoflow: #626b7c;
          --s1: #2257c5; --s2: #c2410c;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --back: #10141b; --card: #181e28; --ink: #e6eaf1; --faint: #98a2b5; --line: #2c3543; --hover: #222a37;
            --accent: #84aeff; --good: #5fd0a0; --bad: #ff8f86; --warn: #f1b95a; --grid: #252d3a; --shade: none;
            --loader: #84aeff; --compute: #c39bff; --bank: #f1b95a; --miner: #5fd0a0; --evaluator: #f49ac6; --picoflow: #98a2b5;
            --s1: #84aeff; --s2: #ff9d6b;
          }
        }
        * { box-sizing: border-box; }
        [hidden] { display: none !important; }
        html { background: var(--back); color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
        body { margin: 0 auto; max-width: 1280px; padding: 14px; font-variant-numeric: tabular-nums; }
        h1 { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
        h2 { font-size: 1rem; margin: 0 0 10px; }
        h2 small { font-weight: 400; color: var(--faint); margin-left: 6px; }
        small { font-size: .85em; }
        .faint { color: var(--faint); } .bad { color: var(--bad); } .grow { flex: 1; }
        .visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; margin: 0; }
        header, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px; box-shadow: var(--shade); min-width: 0; }
        .title { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 10px; }
        .pill { border: 1px solid currentColor; border-radius: 99px; padding: 0 10px; font-size: .85rem; color: var(--faint); }
        .pill.training, .pill.evaluating { color: var(--good); } .pill.stopping, .pill.starting { color: var(--warn); } .pill.lost { color: var(--bad); }
        progress { display: block; width: 100%; height: 8px; margin: 12px 0; border: 0; border-radius: 4px; overflow: hidden; background: var(--grid); appearance: none; }
        progress::-webkit-progress-bar { background: var(--grid); }
        progress::-webkit-progress-value { background: var(--accent); }
        progress::-moz-progress-bar { background: var(--accent); }
        #facts { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 0; }
        #facts div { min-width: 68px; } #facts dt { font-size: .78rem; color: var(--faint); } #facts dd { margin: 0; font-size: 1.08rem; font-weight: 600; }
        #news { margin: 10px 0 0; color: var(--faint); overflow-wrap: anywhere; }
        #banner { margin: 12px 0 0; padding: 10px 14px; border: 1px solid var(--bad); border-radius: 10px; color: var(--bad); background: var(--card); overflow-wrap: anywhere; }
        main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; margin-top: 14px; }
        .wide { grid-column: 1 / -1; }
        @media (max-width: 860px) { main { grid-template-columns: minmax(0, 1fr); } }

        button, select, input { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 7px; padding: 5px 11px; min-height: 34px; }
        button { cursor: pointer; } button:hover:not(:disabled) { background: var(--hover); } button:disabled { opacity: .45; cursor: default; }
        button.danger { color: var(--bad); border-color: currentColor; } button.main { background: var(--accent); border-color: var(--accent); color: var(--card); }
        button.main:hover { filter: brightness(1.1); background: var(--accent); }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

        #graph { position: relative; }
        #edges { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
        #edges path { fill: none; stroke: var(--faint); stroke-width: 1.6; }
        #edges path.flow { stroke-dasharray: 5 5; animation: flow 1s linear infinite; }
        @keyframes flow { to { stroke-dashoffset: -10; } }
        @media (prefers-reduced-motion: reduce) { #edges path.flow { animation: none; } }
        #edges marker path { fill: var(--faint); stroke: none; }
        #edges text { font-size: 12px; fill: var(--faint); } #edges text.what { fill: var(--ink); font-weight: 600; }
        .node { position: absolute; background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--kind, var(--faint)); border-radius: 8px; padding: 8px 10px; font-size: .84rem; line-height: 1.35; box-shadow: var(--shade); overflow: hidden; }
        .node .name { display: flex; gap: 6px; font-size: .98rem; font-weight: 600; margin-bottom: 3px; }
        .node .name b { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        .node .count { color: var(--kind); white-space: nowrap; }
        .node .buttons { position: absolute; right: 7px; bottom: 6px; margin: 0; gap: 5px; background: var(--card); }
        .node button { min-height: 28px; width: 28px; padding: 0; line-height: 1; font-size: 1rem; }
        .node p { margin: 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

        #plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: 14px; }
        figure { margin: 0; min-width: 0; }
        figcaption { display: flex; gap: 8px; justify-content: space-between; font-size: .88rem; }
        figcaption output { color: var(--faint); text-align: right; }
        .plot { display: block; width: 100%; height: 150px; border-radius: 6px; touch-action: pan-y; }
        .plot .grid { stroke: var(--grid); stroke-width: 1; } .plot text { font-size: 11px; fill: var(--faint); }
        .plot .line { fill: none; stroke-width: 1.7; stroke-linejoin: round; } .plot .swap { stroke: var(--warn); stroke-dasharray: 3 3; } .plot .cross { stroke: var(--faint); }
        .s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); } .k1 { color: var(--s1); } .k2 { color: var(--s2); }
        circle.s1 { fill: var(--s1); } circle.s2 { fill: var(--s2); }

        #memory-canvas { display: block; width: 100%; height: 320px; }
        #memory-legend { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 10px; max-height: 168px; overflow: auto; padding: 2px; }
        #memory-legend button { display: flex; align-items: center; gap: 6px; font-size: .82rem; min-height: 28px; padding: 1px 9px; }
        #memory-legend button[aria-pressed=false] { opacity: .45; text-decoration: line-through; }
        #memory-legend i { width: 11px; height: 11px; border-radius: 50%; border: 1px solid var(--faint); }
        #pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 12px; }
        #pictures img { display: block; width: 100%; border-radius: 6px; border: 1px solid var(--line); background: var(--grid); }
        #pictures figcaption { color: var(--faint); margin-top: 3px; }

        .scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .86rem; }
        th { text-align: left; font-weight: 500; color: var(--faint); } th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid); white-space: nowrap; }
        .n { text-align: right; } tr:last-child td { border-bottom: 0; } td.doing { white-space: normal; min-width: 110px; }
        #log { margin: 10px 0 0; max-height: 340px; overflow: auto; font: 12px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
        #log .warning { color: var(--warn); } #log .error, #log .critical { color: var(--bad); }
        #s-processes .scroll, #s-memory { max-height: 640px; } #s-processes .scroll { overflow: auto; }

        dialog { color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px; width: min(520px, calc(100vw - 28px)); }
        dialog::backdrop { background: #0008; }
        .fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 200px), 1fr)); gap: 12px; }
        .fields label { display: grid; gap: 3px; font-size: .86rem; color: var(--faint); } .fields select, .fields input { color: var(--ink); width: 100%; }
        .buttons { display: flex; justify-content: flex-end; gap: 10px; margin-top: 18px; }
        #toast { position: fixed; right: 14px; bottom: 14px; max-width: min(460px, calc(100vw - 28px)); display: grid; gap: 8px; z-index: 5; }
        #toast p { margin: 0; background: var(--ink); color: var(--card); border-radius: 8px; padding: 9px 14px; overflow-wrap: anywhere; } #toast p.failed { background: var(--bad); }

        """#
}
