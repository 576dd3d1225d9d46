extension ReportPage {
    /// Light and dark as the system has it; one column on a phone.
    static let style = #"""
        :root {
          --back: #f4f5f7; --card: #fff; --ink: #1c2230; --faint: #626b7c; --line: #d9dde5; --grid: #e8ebf0; --accent: #2257c5;
          --good: #0b7a53; --bad: #b3261e; --warn: #8f5a00; --shade: 0 1px 2px #10182814;
          --c0: #2257c5; --c1: #c2410c; --c2: #0b7a53; --c3: #7a3cc2; --c4: #a12b6b; --c5: #8f5a00;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --back: #10141b; --card: #181e28; --ink: #e6eaf1; --faint: #98a2b5; --line: #2c3543; --grid: #252d3a; --accent: #84aeff;
            --good: #5fd0a0; --bad: #ff8f86; --warn: #f1b95a; --shade: none;
            --c0: #84aeff; --c1: #ff9d6b; --c2: #5fd0a0; --c3: #c39bff; --c4: #f49ac6; --c5: #f1b95a;
          }
        }
        * { box-sizing: border-box; }
        html { background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%; }
        body { margin: 0 auto; max-width: 1160px; padding: 14px; font-variant-numeric: tabular-nums; }
        header, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; margin-bottom: 14px; box-shadow: var(--shade); }
        h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 0 0 12px; }
        h3 { font-size: .95rem; margin: 18px 0 8px; overflow-wrap: anywhere; } p { margin: 0 0 10px; }
        small { font-size: .82em; font-weight: 400; color: var(--faint); } .faint { color: var(--faint); }
        h2 small { margin-left: 6px; }
        code, pre { font: .88em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
        pre { overflow: auto; max-height: 480px; margin: 8px 0 0; padding: 10px; background: var(--back); border-radius: 8px; overflow-wrap: normal; }
        .title { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 10px; margin-bottom: 4px; }
        .pill { border: 1px solid currentColor; border-radius: 99px; padding: 0 10px; font-size: .82rem; white-space: nowrap; }
        .good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
        .remark { border-left: 3px solid var(--warn); padding: 4px 0 4px 10px; overflow-wrap: anywhere; }
        .facts { display: flex; flex-wrap: wrap; gap: 10px 30px; margin: 12px 0 0; }
        .facts dt { font-size: .8rem; color: var(--faint); } .facts dd { margin: 0; font-size: 1.2rem; font-weight: 600; }
        .runs { list-style: none; margin: 10px 0 0; padding: 0; } .runs li { margin: 5px 0; }
        .key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; background: var(--c); }
        .c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c: var(--c5); }

        .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 18px; }
        figure { margin: 0; min-width: 0; }
        figcaption { display: flex; flex-wrap: wrap; gap: 2px 10px; justify-content: space-between; font-size: .88rem; }
        figcaption output { color: var(--faint); text-align: right; }
        .plot { display: block; width: 100%; height: auto; touch-action: pan-y; border-radius: 6px; }
        .plot text { font-size: 15px; fill: var(--faint); } .grid { stroke: var(--grid); }
        .line { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; } .band { fill: var(--c); fill-opacity: .13; } .plot circle { fill: var(--c); }
        .cross { stroke: var(--faint); fill: none; }
        .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 0 0; font-size: .82rem; color: var(--faint); }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; font-size: .9rem; } th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
        th { font-weight: 600; } thead th { color: var(--faint); font-size: .82rem; vertical-align: bottom; } tr > :first-child, .text { text-align: left; }
        td.text code, th code { white-space: normal; } tfoot th, tfoot td { border-top: 2px solid var(--line); border-bottom: 0; font-weight: 700; }
        .classes { width: 100%; max-width: 900px; } .classes .bar { min-width: 130px; width: 26%; background: linear-gradient(var(--accent), var(--accent)) no-repeat left 3px bottom 3px / calc((100% - 6px) * var(--v)) 3px; }
        .best { font-weight: 700; color: var(--good); }
        .swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px; vertical-align: -1px; border: 1px solid #8886; }

        .confusion { display: flex; flex-wrap: wrap; gap: 10px 40px; align-items: flex-start; } .confused { max-width: 100%; } .confusion h3 { margin-top: 4px; } .confusion ol { margin: 0; padding-left: 24px; font-size: .9rem; }
        .matrix { display: block; } .matrix text { font-size: 12px; fill: var(--ink); } .frame { fill: none; stroke: var(--line); }
        .right { fill: var(--good); } .wrong { fill: var(--bad); } .matrix .part { font-size: 10px; text-anchor: middle; pointer-events: none; } .matrix .over { fill: var(--card); }

        .strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 14px; }
        .strip div { display: grid; grid-template-columns: repeat(4, 1fr); gap: 3px; }
        .strip i { aspect-ratio: var(--r); background: var(--p) calc(var(--k) * 100% / 3) 0 / 400% 100% no-repeat; border-radius: 4px; }
        .strip figcaption { margin-top: 3px; overflow-wrap: anywhere; }
        @media (max-width: 620px) { .strip div { grid-template-columns: repeat(2, 1fr); } body { padding: 8px; } header, section { padding: 12px; } .plot text { font-size: 19px; } }
        .names { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 8px 0 0; font-size: .88rem; }

        .about { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; margin: 0 0 10px; font-size: .9rem; }
        .about dt { color: var(--faint); } .about dd { margin: 0; overflow-wrap: anywhere; }
        details { margin-top: 8px; } summary { cursor: pointer; color: var(--accent); } .happened, details ol { margin: 8px 0; padding-left: 26px; font-size: .9rem; overflow-wrap: anywhere; }
        @media print { html { background: none; } header, section { break-inside: avoid; box-shadow: none; } }
        """#

    /// Reads a plot's values where the pointer or the arrow keys are; the page says all else without it.
    static let script = #"""
        for (const plot of document.querySelectorAll("svg.plot")) {
          const [x0, x1, left, right] = plot.dataset.x.split(" ").map(Number), [y0, y1, bottom, top] = plot.dataset.y.split(" ").map(Number);
          const lines = [...plot.querySelectorAll("polyline")].map(line => ({ name: line.dataset.name, points: [...line.points].map(p => [p.x, p.y]) }));
          const output = plot.parentElement.querySelector("output"), cross = plot.querySelector(".cross");
          const places = [...new Set(lines.flatMap(line => line.points.map(p => p[0])))].sort((a, b) => a - b);
          let at = -1;
          const show = index => {
            at = index;
            if (index < 0) { cross.setAttribute("d", ""); output.textContent = ""; return; }
            const x = places[index];
            cross.setAttribute("d", `M${x} ${top}V${bottom}`);
            const step = Math.round(x0 + (x - left) / (right - left) * (x1 - x0));
            const values = lines.map(line => {
              let best = line.points[0];
              for (const point of line.points) if (Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
              if (!best || Math.abs(best[0] - x) > 12) return "";
              const value = y0 + (bottom - best[1]) / (bottom - top) * (y1 - y0);
              return (lines.length > 1 ? line.name + " " : "") + Number(value.toPrecision(3)) + plot.dataset.unit;
            });
            output.textContent = `step ${step}: ` + values.filter(Boolean).join(", ");
          };
          plot.addEventListener("pointermove", event => {
            const box = plot.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * plot.viewBox.baseVal.width;
            let best = 0;
            places.forEach((place, index) => { if (Math.abs(place - x) < Math.abs(places[best] - x)) best = index; });
            show(best);
          });
          plot.addEventListener("pointerleave", () => show(-1));
          plot.addEventListener("blur", () => show(-1));
          plot.addEventListener("keydown", event => {
            const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
            if (!move) return;
            event.preventDefault();
            show(Math.min(places.length - 1, Math.max(0, at < 0 ? (move > 0 ? 0 : places.length - 1) : at + move)));
          });
        }
        """#
}
