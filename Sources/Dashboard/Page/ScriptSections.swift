extension DashboardPage {
    /// The run's facts and the table of processes.
    static let processScript = #"""

        function showFacts(report) {
          document.title = report.run + (report.phase === 'training' ? ' ' + percent(report.step / Math.max(1, report.iterations)) : '');
          put($('run'), report.run);
          const isLost = report.phase === 'ended' && !report.outcome;
          put($('phase'), isLost ? 'supervisor gone' : report.phase);
          $('phase').className = 'pill ' + (isLost ? 'lost' : report.phase);
          const evaluated = report.phase === 'evaluating' && report.evaluated;
          $('progress').value = evaluated ? evaluated.done / Math.max(1, evaluated.total) : report.step / Math.max(1, report.iterations);
          const step = report.metrics || {}, facts = [['Step', report.step + ' / ' + report.iterations]];
          if (evaluated) facts.push(['Images measured', evaluated.done + ' / ' + evaluated.total]);
          if (report.etaSeconds !== undefined) facts.push(['Left', time(report.etaSeconds)]);
          if (report.imagesPerSecond !== undefined && report.phase !== 'ended') facts.push(['Images/s', rate(report.imagesPerSecond)]);
          if (step.ce !== undefined) facts.push(['Cross-entropy', step.ce === null ? 'nan' : short(step.ce)]);
          if (step.nce !== undefined) facts.push(['Contrast', step.nce === null ? 'nan' : short(step.nce)]);
          if (step.lr !== undefined) facts.push(['Learning rate', short(step.lr)]);
          if (report.evaluation) facts.push(['mIoU at step ' + report.evaluation.step, percent(report.evaluation.mIoU, 1)]);
          if (report.checkpoint !== undefined) facts.push(['Checkpoint', String(report.checkpoint)]);
          if (report.epoch > 1) facts.push(['Epoch', String(report.epoch)]);
          const items = [...$('facts').children];
          facts.forEach(([name, value], index) => {
            const item = items[index] || $('facts').appendChild(make('div', {}, make('dt'), make('dd')));
            put(item.firstChild, name);
            put(item.lastChild, value);
          });
          items.slice(facts.length).forEach(item => item.remove());
          const news = [];
          const swaps = report.swaps || [];
          const inForce = swaps.findLastIndex(swap => swap.step <= report.step + 1);
          for (const swap of swaps.slice(Math.max(0, inForce))) {
            news.push(`${swap.stage} ${report.step + 1 >= swap.step ? 'since' : 'from'} step ${swap.step}: swap ${swap.generation}, ${swap.change}`);
          }
          if (report.evaluating !== undefined) {
            const done = report.evaluated ? `, ${report.evaluated.done} of ${report.evaluated.total} images` : '';
            news.push(`evaluating the network of step ${report.evaluating}${done}`);
          }
          if (report.outcome) news.push(report.outcome);
          $('news').hidden = !news.length;
          put($('news'), news.join(' · '));
          if (isLost) banner('The supervisor is gone; go on with: picoflow launch --resume ' + report.runDirectory);
        }

        function showProcesses(report) {
          const rows = report.stages.map(stage => {
            const rates = stage.rates || {};
            return [stage.stage + '-' + stage.id, stage.waitingOn ? 'waits for ' + stage.waitingOn : stage.state,
              percent(rates.cpuSeconds), bytes(stage.metrics.residentBytes), isNumber(rates.tickets) ? rate(rates.tickets) : '',
              stage.restarts ? String(stage.restarts) : '', stage.host || '', stage.pid === undefined ? '' : String(stage.pid)];
          });
          const body = $('processes');
          while (body.rows.length > rows.length) body.deleteRow(-1);
          rows.forEach((cells, index) => {
            const row = body.rows[index] || body.insertRow();
            cells.forEach((text, column) => {
              const cell = row.cells[column] || row.insertCell();
              cell.className = [2, 3, 4, 5, 7].includes(column) ? 'n' : column === 1 ? 'doing' : '';
              put(cell, text);
            });
          });
          $('s-processes').hidden = !rows.length;
        }

        """#

    /// Small line plots; the value under the pointer, or under the arrow keys, stands in the caption.
    static let plotScript = #"""

        const PLOTS = [
          {id: 'ce', title: 'Cross-entropy', series: [['ce', 's1', '']]},
          {id: 'nce', title: 'Contrast', series: [['nce', 's1', '']]},
          {id: 'miou', title: 'Mean IoU', series: [['mIoU', 's1', '']], format: value => percent(value, 1), dots: true},
          {id: 'speed', title: 'Images per second', series: [['imagesPerSecond', 's1', '']], zero: true},
          {id: 'waits', title: 'Step waits for', series: [['samplesWait', 's1', 'samples'], ['gradientsWait', 's2', 'gradients']],
            format: percent, zero: true},
          {id: 'lr', title: 'Learning rate', series: [['lr', 's1', '']], zero: true},
        ];
        const plots = {swaps: []};

        function showCurves(points) {
          const evaluations = points.evaluations;
          const data = {...points, mIoU: evaluations.map(scores => scores.mIoU)};
          for (const plot of PLOTS) {
            const steps = plot.id === 'miou' ? evaluations.map(scores => scores.step) : points.step;
            const series = plot.series.map(([key, style, name]) => ({style, name, values: data[key] || []}));
            drawPlot(plot, steps, series);
          }
          $('h-plots').parentElement.hidden = !points.step.length;
        }

        /// Round numbers that divide a range in about so many parts.
        function ticks(low, high, count) {
          const rough = (high - low) / count, size = Math.pow(10, Math.floor(Math.log10(rough)));
          const step = [1, 2, 2.5, 5, 10].map(n => n * size).find(n => n >= rough * 0.999) || size;
          const list = [];
          for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) list.push(n * step);
          return list;
        }

        function drawPlot(plot, steps, series) {
          if (!plot.figure) {
            plot.output = make('output');
            plot.names = make('span', {}, plot.title + ' ');
            for (const [, style, name] of plot.series.filter(part => part[2])) {
              plot.names.append(make('span', {className: style.replace('s', 'k'), textContent: '■ ' + name + ' '}));
            }
            plot.svg = draw('svg', {class: 'plot', tabindex: 0, role: 'img', id: 'plot-' + plot.id});
            plot.figure = make('figure', {}, make('figcaption', {}, plot.names, plot.output), plot.svg);
            plot.svg.addEventListener('pointermove', event => point(plot, event.offsetX));
            plot.svg.addEventListener('pointerleave', () => { plot.at = undefined; cross(plot); });
            plot.svg.addEventListener('blur', () => { plot.at = undefined; cross(plot); });
            plot.svg.addEventListener('keydown', event => {
              const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
              if (!move || !plot.steps.length) return;
              event.preventDefault();
              plot.at = Math.min(plot.steps.length - 1, Math.max(0, (plot.at ?? plot.steps.length) + move));
              cross(plot);
            });
            $('plots').append(plot.figure);
          }
          const rows = steps.map((step, index) => [step, ...series.map(part => part.values[index])])
            .filter(row => row.slice(1).some(isNumber));
          plot.steps = rows.map(row => row[0]);
          plot.rows = rows;
          plot.seriesStyles = series;
          plot.figure.hidden = !rows.length;
          if (!rows.length) return;
          const format = plot.format || short, values = rows.flatMap(row => row.slice(1)).filter(isNumber);
          // One wild step must not flatten all others: the scale is of the middle 98 %.
          const sorted = [...values].sort((a, b) => a - b), cut = sorted.length > 100 ? Math.floor(sorted.length / 100) : 0;
          let low = plot.zero ? 0 : sorted[cut], high = sorted[sorted.length - 1 - cut];
          if (!(high > low)) { const pad = Math.abs(high) * 0.1 || 1; if (!plot.zero) low -= pad; high += pad; }
          const width = plot.svg.clientWidth || 300, height = 150, left = 46, right = 8, top = 8, bottom = 20;
          const first = Math.min(plot.steps[0], 1), last = Math.max(plot.steps[plot.steps.length - 1], first + 1);
          plot.x = step => left + (step - first) / (last - first) * (width - left - right);
          plot.y = value => top + (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low)) * (height - top - bottom);
          const parts = [];
          for (const tick of ticks(low, high, 3)) {
            const y = plot.y(tick);
            parts.push(draw('line', {x1: left, x2: width - right, y1: y, y2: y, class: 'grid'}),
              draw('text', {x: left - 6, y: y + 4, 'text-anchor': 'end'}, format(tick)));
          }
          for (const tick of ticks(first, last, Math.max(3, Math.floor(width / 70))).filter(Number.isInteger)) {
            parts.push(draw('text', {x: Math.min(plot.x(tick), width - 4 * String(tick).length), y: height - 4, 'text-anchor': 'middle'}, String(tick)));
          }
          for (const swap of plots.swaps.filter(swap => swap.step >= first && swap.step <= last)) {
            const x = plot.x(swap.step);
            parts.push(draw('line', {x1: x, x2: x, y1: top, y2: height - bottom, class: 'swap'},
              draw('title', {}, `step ${swap.step}: ${swap.change}`)));
          }
          series.forEach((part, place) => {
            let d = '', isDown = false;
            for (const row of rows) {
              const value = row[place + 1];
              if (!isNumber(value)) { isDown = false; continue; }
              d += (isDown ? 'L' : 'M') + plot.x(row[0]).toFixed(1) + ' ' + plot.y(value).toFixed(1);
              isDown = true;
              if (plot.dots || rows.length === 1) parts.push(draw('circle', {cx: plot.x(row[0]), cy: plot.y(value), r: 3, class: part.style}));
            }
            parts.push(draw('path', {d, class: 'line ' + part.style}));
          });
          plot.crossLine = draw('line', {y1: top, y2: height - bottom, class: 'cross', visibility: 'hidden'});
          plot.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
          plot.svg.replaceChildren(...parts, plot.crossLine);
          cross(plot);
        }

        /// Chooses the point nearest to a place.
        function point(plot, x) {
          if (!plot.steps.length) return;
          let best = 0;
          plot.steps.forEach((step, index) => { if (Math.abs(plot.x(step) - x) < Math.abs(plot.x(plot.steps[best]) - x)) best = index; });
          plot.at = best;
          cross(plot);
        }

        function cross(plot) {
          const at = Math.min(plot.at ?? plot.steps.length - 1, plot.steps.length - 1);
          if (at < 0) return;
          const row = plot.rows[at], format = plot.format || short;
          const text = plot.seriesStyles.map((part, place) => format(row[place + 1])).join(', ');
          put(plot.output, plot.at === undefined ? text : `step ${row[0]}: ${text}`);
          plot.svg.setAttribute('aria-label', `${plot.title}: ${text} at step ${row[0]}`);
          plot.crossLine.setAttribute('visibility', plot.at === undefined ? 'hidden' : 'visible');
          plot.crossLine.setAttribute('x1', plot.x(row[0]));
          plot.crossLine.setAttribute('x2', plot.x(row[0]));
        }

        """#

    /// The memory's embeddings: pixels as dots, regions as rings.
    static let memoryScript = #"""

        const memory = {map: null, hidden: new Set()};

        function showMemory(map) {
          const isNew = !memory.map || memory.map.step !== map.step;
          memory.map = map;
          $('memory').hidden = false;
          $('memory-none').hidden = true;
          put($('memory-step'), `at step ${map.step}: ${map.x.length} of its embeddings, two principal directions (${percent(map.shares[0])} and ${percent(map.shares[1])} of the variance)`);
          if (isNew) {
            $('memory-legend').replaceChildren(...map.classes.map((item, index) => ({item, index}))
              .filter(({item}) => item.pixels + item.regions > 0).map(({item, index}) => {
                const dot = make('i');
                dot.style.background = item.color;
                const button = make('button', {type: 'button', title: `${item.pixels} pixels, ${item.regions} regions`}, dot, item.name);
                button.setAttribute('aria-pressed', !memory.hidden.has(index));
                button.onclick = () => {
                  if (!memory.hidden.delete(index)) memory.hidden.add(index);
                  button.setAttribute('aria-pressed', !memory.hidden.has(index));
                  drawMemory();
                };
                return button;
              }));
          }
          drawMemory();
        }

        function drawMemory() {
          const map = memory.map, canvas = $('memory-canvas');
          if (!map || !canvas.clientWidth) return;
          const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
          canvas.width = width * scale;
          canvas.height = height * scale;
          const pen = canvas.getContext('2d');
          pen.scale(scale, scale);
          const range = values => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
          const [left, right] = range(map.x), [bottom, top] = range(map.y), pad = 10;
          // One scale for both axes: distances mean something.
          const zoom = Math.min((width - 2 * pad) / (right - left || 1), (height - 2 * pad) / (top - bottom || 1));
          const x = value => width / 2 + (value - (left + right) / 2) * zoom, y = value => height / 2 - (value - (bottom + top) / 2) * zoom;
          const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink');
          map.x.forEach((_, index) => {
            const of = map.classIndex[index];
            if (memory.hidden.has(of)) return;
            pen.beginPath();
            pen.arc(x(map.x[index]), y(map.y[index]), map.isRegion[index] ? 4 : 2.6, 0, 7);
            pen.globalAlpha = 0.85;
            if (map.isRegion[index]) {
              pen.lineWidth = 2;
              pen.strokeStyle = map.classes[of].color;
              pen.stroke();
            } else {
              pen.fillStyle = map.classes[of].color;
              pen.fill();
              pen.globalAlpha = 0.25;
              pen.lineWidth = 0.6;
              pen.strokeStyle = ink;
              pen.stroke();
            }
          });
        }

        """#

    /// Validation pictures and logs.
    static let pictureScript = #"""

        function showPictures({step, panels}) {
          $('s-pictures').hidden = !panels.length;
          put($('pictures-step'), step === undefined ? '' : 'at step ' + step);
          const key = panels.map(panel => panel.path).join();
          if ($('pictures').dataset.key === key) return;
          $('pictures').dataset.key = key;
          $('pictures').replaceChildren(...panels.map(panel => make('figure', {},
            make('img', {src: panel.path.split('/').map(encodeURIComponent).join('/'), alt: 'Input, label, prediction and errors of ' + panel.name, loading: 'lazy'}),
            make('figcaption', {textContent: panel.name}))));
        }

        async function showLog() {
          const select = $('log-of'), box = $('log');
          const log = await get('api/log?of=' + encodeURIComponent(select.value));
          const names = ['', ...log.names];
          if (names.join() !== [...select.options].map(option => option.value).join()) {
            const chosen = select.value;
            select.replaceChildren(...names.map(name => make('option', {value: name, textContent: name || 'everybody'})));
            select.value = names.includes(chosen) ? chosen : '';
          }
          const text = log.lines.join('\n');
          if (box.dataset.text === text) return;
          box.dataset.text = text;
          // Who scrolled up reads; who is at the end follows.
          const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
          box.replaceChildren(...log.lines.flatMap(line => {
            const level = /^\S+ (warning|error|critical) /.exec(line);
            return [make('span', {textContent: line, className: level ? level[1] : ''}), '\n'];
          }));
          if (follows) box.scrollTop = box.scrollHeight;
        }

        """#
}
