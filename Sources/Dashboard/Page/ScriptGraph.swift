extension DashboardPage {
    /// The topology as a graph: samples go from left to right (on a phone downwards), the bank lies between compute and miners.
    static let graphScript = #"""

        const graph = {nodes: new Map(), width: 0};
        const NODE = {width: 190, height: 116};

        /// Places stages by the links between them: x and y in columns and rows, turned on its side where it is narrow.
        function placeNodes(nodes, links) {
          const of = label => links.filter(link => link.label === label);
          const kind = name => nodes.filter(node => node.kind === name).map(node => node.name);
          const places = new Map();
          let chain = kind('compute');
          for (let more = true; more && chain.length;) {
            const supplier = of('samples').find(link => link.to === chain[0]);
            more = supplier !== undefined && !chain.includes(supplier.from);
            if (more) chain = [supplier.from, ...chain];
          }
          chain.forEach((name, column) => places.set(name, [column, 0]));
          let next = chain.length;
          for (const name of kind('miner').filter(name => !places.has(name))) places.set(name, [next++, 0]);
          const hasMiner = next > chain.length;
          for (const name of kind('bank')) places.set(name, [chain.length - (hasMiner ? 0.5 : 1), 1]);
          for (const link of of('confusions')) {
            places.set(link.from, [next, 0]);
            places.set(link.to, [next, 1]);
            next += 1;
          }
          for (const node of nodes) if (!places.has(node.name)) places.set(node.name, [next++, 0]);
          return {places, columns: next};
        }

        function drawGraph(state) {
          const box = $('graph'), report = state.report;
          const links = report.links || state.links;
          let nodes = state.nodes;
          if (!nodes.length) {
            nodes = [...new Set(report.stages.map(stage => stage.stage))].map(name => ({
              name, kind: report.stages.find(stage => stage.stage === name).kind, replicas: 0, notes: []}));
          }
          const width = box.clientWidth;
          if (!width) return;
          const {places, columns} = placeNodes(nodes, links);
          const isNarrow = width < columns * 150 + (columns - 1) * 96;
          const w = isNarrow ? Math.min(NODE.width, (width - 14) / 2) : Math.min(NODE.width, (width - (columns - 1) * 100) / columns);
          const h = NODE.height;
          const step = isNarrow
            ? {x: width - w, y: h + 74}
            : {x: columns > 1 ? Math.min(w + 230, (width - w) / (columns - 1)) : 0, y: h + 44};
          const corner = name => {
            const [column, row] = places.get(name);
            return isNarrow ? {x: row * step.x, y: column * step.y} : {x: column * step.x, y: row * step.y};
          };
          let bottom = 0;
          for (const node of nodes) {
            const place = corner(node.name);
            bottom = Math.max(bottom, place.y + h);
            drawNode(node, report, place, w, h);
          }
          for (const [name, element] of graph.nodes) {
            if (!places.has(name)) { element.box.remove(); graph.nodes.delete(name); }
          }
          box.style.height = bottom + (isNarrow ? 48 : 4) + 'px';
          drawEdges(links, corner, w, h, isNarrow);
        }

        function drawNode(node, report, place, w, h) {
          let element = graph.nodes.get(node.name);
          if (!element) {
            const fewer = make('button', {type: 'button', textContent: '−', title: 'One fewer'});
            const more = make('button', {type: 'button', textContent: '+', title: 'One more'});
            fewer.setAttribute('aria-label', 'One ' + node.name + ' fewer');
            more.setAttribute('aria-label', 'One ' + node.name + ' more');
            element = {
              count: make('span', {className: 'count'}), doing: make('p'), load: make('p'), note: make('p', {className: 'faint'}),
              fewer, more, wanted: 0};
            element.box = make('div', {className: 'node'},
              make('div', {className: 'name'}, make('b', {textContent: node.name, title: node.name}), element.count),
              element.doing, element.load, element.note, make('div', {className: 'buttons'}, fewer, more));
            element.box.dataset.stage = node.name;
            element.box.style.setProperty('--kind', 'var(--' + (node.kind || 'picoflow') + ')');
            fewer.onclick = () => scaleStage(node.name, element, -1);
            more.onclick = () => scaleStage(node.name, element, +1);
            graph.nodes.set(node.name, element);
            $('graph').append(element.box);
          }
          Object.assign(element.box.style, {left: place.x + 'px', top: place.y + 'px', width: w + 'px', height: h + 'px'});
          const stages = report.stages.filter(stage => stage.stage === node.name);
          const wanted = (report.replicas || {})[node.name];
          element.wanted = wanted;
          element.fewer.hidden = element.more.hidden = wanted === undefined;
          element.fewer.disabled = wanted === undefined || wanted < 2;
          const alive = stages.filter(stage => stage.pid !== undefined || stage.state === 'running').length;
          put(element.count, node.kind ? '×\u2009' + (stages.length || (report.phase === 'ended' ? node.replicas : wanted ?? node.replicas)) : '');
          element.box.dataset.alive = alive;
          put(element.doing, node.kind ? doing(stages, report) : 'command line');
          const sum = value => stages.map(value).filter(isNumber).reduce((a, b) => a + b, 0);
          const cpu = sum(stage => (stage.rates || {}).cpuSeconds), memory = sum(stage => stage.metrics.residentBytes);
          put(element.load, stages.length && memory ? percent(cpu) + ' CPU · ' + bytes(memory) : '');
          put(element.note, node.notes.join(' · '));
        }

        /// What a stage's processes do, those in the same state together.
        function doing(stages, report) {
          if (!stages.length) return report.phase === 'ended' ? 'ended' : 'waits for its turn';
          const counts = new Map();
          for (const stage of stages) {
            const what = stage.waitingOn ? 'waits for ' + stage.waitingOn : stage.state;
            counts.set(what, (counts.get(what) || 0) + 1);
          }
          return [...counts].map(([what, count]) => counts.size > 1 ? count + ' ' + what : what).join(', ');
        }

        function drawEdges(links, corner, w, h, isNarrow) {
          const svg = $('edges');
          const marker = draw('marker', {id: 'tip', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto'},
            draw('path', {d: 'M0 0L8 4L0 8z'}));
          const parts = [draw('defs', {}, marker)];
          const list = [];
          for (const link of links) {
            const a = corner(link.from), b = corner(link.to);
            const lines = [link.label];
            if (isNumber(link.perSecond)) lines.push(rate(link.perSecond) + '/s');
            if (isNumber(link.bytesPerSecond)) lines.push(bytes(link.bytesPerSecond) + '/s');
            const depth = [];
            if (isNumber(link.underWay)) depth.push(link.underWay + ' under way');
            if (isNumber(link.ready)) depth.push(link.ready + ' ready');
            const {d, x, y, anchor} = route(link, a, b, w, h, isNarrow);
            parts.push(draw('path', {d, 'marker-end': 'url(#tip)', class: link.perSecond > 0 ? 'flow' : ''}));
            lines.forEach((line, index) => {
              const text = draw('text', {x, y: y + 14 * index, 'text-anchor': anchor, class: index ? '' : 'what'});
              text.textContent = line;
              if (!index && depth.length) text.append(draw('title', {}, depth.join(', ')));
              parts.push(text);
            });
            list.push(make('li', {textContent: `${link.from} to ${link.to}: ${[...lines, ...depth].join(', ')}`}));
          }
          svg.replaceChildren(...parts);
          const texts = list.map(item => item.textContent).join('\n');
          if ($('links').dataset.texts !== texts) { $('links').dataset.texts = texts; $('links').replaceChildren(...list); }
        }

        /// A link's path and where its words stand.
        function route(link, a, b, w, h, isNarrow) {
          const mid = (p, q) => (p + q) / 2;
          if (isNarrow) {
            const x = w / 2;
            switch (link.label) {
            case 'keys': return {d: `M${a.x + w} ${a.y + h / 2}H${b.x + w / 2}V${b.y - 3}`, x: b.x + 8, y: a.y + 12, anchor: 'start'};
            case 'log': return {d: `M${a.x + w / 2} ${a.y + h}V${b.y + h / 2}H${b.x + w + 3}`, x: a.x + 8, y: b.y + h / 2 + 18, anchor: 'start'};
            case 'confusions': return {d: `M${a.x + w} ${a.y + h / 2}H${b.x - 3}`, x: 0, y: a.y + h + 16, anchor: 'start'};
            case 'anchors': return {d: `M${a.x + x - 10} ${a.y + h}V${b.y - 3}`, x: a.x + x - 17, y: a.y + h + 22, anchor: 'end'};
            case 'gradients': return {d: `M${a.x + x + 10} ${a.y}V${b.y + h + 3}`, x: a.x + x + 18, y: b.y + h + 22, anchor: 'start'};
            default: return {d: `M${a.x + x} ${a.y + h}V${b.y - 3}`, x: a.x + x + 8, y: a.y + h + 24, anchor: 'start'};
            }
          }
          switch (link.label) {
          case 'keys': return {d: `M${a.x + w / 2} ${a.y + h}V${b.y + h / 2}H${b.x - 3}`, x: a.x + w / 2 - 8, y: a.y + h + 22, anchor: 'end'};
          case 'log': return {d: `M${a.x + w} ${a.y + h / 2}H${b.x + w / 2}V${b.y + h + 3}`, x: b.x + w / 2 + 8, y: b.y + h + 22, anchor: 'start'};
          case 'confusions': return {d: `M${a.x + w / 2} ${a.y + h}V${b.y - 3}`, x: a.x + w / 2 + 8, y: a.y + h + 18, anchor: 'start'};
          case 'anchors': return {d: `M${a.x + w} ${a.y + 44}H${b.x - 3}`, x: mid(a.x + w, b.x), y: a.y + 10, anchor: 'middle'};
          case 'gradients': return {d: `M${a.x} ${a.y + 56}H${b.x + w + 3}`, x: mid(a.x, b.x + w), y: a.y + 72, anchor: 'middle'};
          default: return {d: `M${a.x + w} ${a.y + 50}H${b.x - 3}`, x: mid(a.x + w, b.x), y: a.y + 68, anchor: 'middle'};
          }
        }

        """#
}
