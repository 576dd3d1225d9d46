extension DashboardPage {
    /// Helpers, fetching, numbers as people read them.
    static let coreScript = #"""

        'use strict';
        const $ = id => document.getElementById(id);
        const SVG = 'http://www.w3.org/2000/svg';
        /// An element with properties and children; texts go in as text, never as markup.
        function make(tag, properties = {}, ...children) {
          const element = document.createElement(tag);
          Object.assign(element, properties);
          element.append(...children);
          return element;
        }
        function draw(tag, attributes = {}, ...children) {
          const element = document.createElementNS(SVG, tag);
          for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
          element.append(...children);
          return element;
        }
        /// Sets a text only where it changes, so that selections and readers are not disturbed.
        function put(element, text) { if (element.textContent !== text) element.textContent = text; }

        async function get(path) {
          const response = await fetch(path, {headers: {Accept: 'application/json'}});
          const body = await response.json().catch(() => ({error: response.statusText}));
          if (!response.ok) throw Object.assign(new Error(body.error || response.statusText), {status: response.status});
          return body;
        }
        async function post(path, value) {
          const response = await fetch(path, {
            method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(value)});
          const body = await response.json().catch(() => ({error: response.statusText}));
          if (!response.ok) throw new Error(body.error || response.statusText);
          return body;
        }
        function toast(text, failed = false) {
          const line = make('p', {textContent: text, className: failed ? 'failed' : ''});
          $('toast').append(line);
          setTimeout(() => line.remove(), failed ? 9000 : 4000);
        }

        const isNumber = value => typeof value === 'number' && isFinite(value);
        function bytes(count) {
          if (!isNumber(count)) return '–';
          const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
          let unit = 0;
          while (count >= 999.5 && unit < units.length - 1) { count /= 1024; unit += 1; }
          return (unit > 0 && count < 9.95 ? count.toFixed(1) : count.toFixed(0)) + ' ' + units[unit];
        }
        const rate = value => !isNumber(value) ? '–' : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
        const percent = (value, digits = 0) => isNumber(value) ? (100 * value).toFixed(digits) + ' %' : '–';
        /// Three or four digits that say something.
        function short(value) {
          if (!isNumber(value)) return '–';
          const size = Math.abs(value);
          if (size === 0) return '0';
          if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace('e+', 'e');
          return String(+value.toPrecision(size < 1 ? 3 : 4));
        }
        /// As everywhere: 450 ms, 12.3 s, 5 min 02 s, 1 h 02 min, 3 d 04 h.
        function time(seconds) {
          if (!isNumber(seconds) || seconds < 0) return '–';
          const pair = (large, unit, small, smallUnit) =>
            large + ' ' + unit + (small ? ' ' + String(small).padStart(2, '0') + ' ' + smallUnit : '');
          if (seconds < 0.9995) return seconds ? +(1000 * seconds).toFixed(seconds < 0.00995 ? 1 : 0) + ' ms' : '0 s';
          if (seconds < 59.95) return +seconds.toFixed(1) + ' s';
          const whole = Math.round(seconds), minutes = Math.round(seconds / 60), hours = Math.round(seconds / 3600);
          if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's');
          if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
          return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
        }

        /// Repeats a task, one at a time, while the page is seen.
        function every(seconds, task) {
          let isRunning = false;
          async function turn() {
            if (isRunning || document.hidden) return;
            isRunning = true;
            try { await task(); } catch (error) { if (!(error instanceof TypeError) && !error.status) console.error(error); }
            isRunning = false;
          }
          setInterval(turn, 1000 * seconds);
          document.addEventListener('visibilitychange', turn);
          turn();
          return turn;
        }

        """#
}
