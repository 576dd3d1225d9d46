extension DashboardPage {
    /// Scale, swap and stop.
    static let actionScript = #"""

        let state = null;
        async function attempt(what, path, value) {
          try {
            await post(path, value);
            toast(what);
            look();
          } catch (error) {
            toast(error instanceof TypeError ? 'the dashboard does not answer' : error.message, true);
          }
        }

        function scaleStage(name, element, more) {
          const wanted = element.wanted + more;
          // Until the next look, so that two clicks are two replicas.
          element.wanted = wanted;
          attempt(`${name}: ${wanted - more} → ${wanted}`, 'api/scale', {stages: {[name]: wanted}});
        }

        /// The settings that a swap may change, as the recipe spells them, with their present values.
        function present() {
          const mining = (state && state.mining) || {};
          return {
            'sampler.strategy': (mining.sampler || {}).strategy, 'sampler.positives': (mining.sampler || {}).positives,
            'sampler.negatives': (mining.sampler || {}).negatives, 'contrast.temperature': mining.temperature,
            'synthesis.enabled': (mining.synthesis || {}).enabled};
        }

        function openSwap() {
          const form = $('swap-form');
          const miners = [...new Set(state.report.stages.filter(stage => stage.kind === 'miner').map(stage => stage.stage))];
          form.elements.stage.replaceChildren(...miners.map(name => make('option', {textContent: name})));
          for (const [key, value] of Object.entries(present())) form.elements[key].value = value === undefined ? '' : +(+value).toPrecision(6) === +value || typeof value !== 'number' ? String(value) : String(+value.toPrecision(6));
          form.elements.atStep.value = form.elements.more.value = '';
          $('swap-error').hidden = true;
          $('swap-dialog').showModal();
        }

        async function submitSwap(event) {
          event.preventDefault();
          const form = $('swap-form'), error = $('swap-error');
          const fail = text => { error.hidden = false; put(error, text); };
          const set = [];
          for (const [key, value] of Object.entries(present())) {
            const given = form.elements[key].value.trim();
            if (given !== '' && given !== String(typeof value === 'number' ? +value.toPrecision(6) : value)) set.push(key + '=' + given);
          }
          set.push(...form.elements.more.value.trim().split(/\s+/).filter(Boolean));
          if (!set.length) return fail('Nothing is changed.');
          const request = {stage: form.elements.stage.value, set};
          const step = form.elements.atStep.value.trim();
          if (step && !/^\d{1,15}$/.test(step)) return fail(`'${step}' is no step.`);
          if (step) request.atStep = Number(step);
          const button = form.querySelector('[type=submit]');
          button.disabled = true;
          try {
            await post('api/swap', request);
            $('swap-dialog').close();
            toast(`${request.stage}: ${set.join(', ')}`);
            look();
          } catch (problem) {
            fail(problem instanceof TypeError ? 'The dashboard does not answer.' : problem.message);
          }
          button.disabled = false;
        }

        function banner(text) {
          $('banner').hidden = !text;
          put($('banner'), text || '');
        }

        """#

    /// What is looked at how often.
    static let startScript = #"""

        $('swap').onclick = openSwap;
        $('swap-form').onsubmit = submitSwap;
        $('swap-cancel').onclick = () => $('swap-dialog').close();
        $('stop').onclick = () => $('stop-dialog').showModal();
        $('stop-cancel').onclick = () => $('stop-dialog').close();
        $('stop-form').onsubmit = event => {
          event.preventDefault();
          $('stop-dialog').close();
          attempt('the run is stopping', 'api/stop', {});
        };

        const look = every(1, async () => {
          try {
            state = await get('api/state');
            banner('');
          } catch (error) {
            banner(error.status ? error.message : 'The dashboard does not answer. When its launch has ended, \u2018picoflow dashboard\u2019 shows the run again.');
            if (!error.status) { $('swap').disabled = $('stop').disabled = true; put($('phase'), 'no answer'); $('phase').className = 'pill lost'; }
            return;
          }
          const report = state.report;
          // Another run at this address: nothing of the one before may stay under its name.
          if (plots.run !== undefined && plots.run !== report.runDirectory) return location.reload();
          plots.run = report.runDirectory;
          plots.swaps = report.swaps || [];
          showFacts(report);
          drawGraph(state);
          showProcesses(report);
          $('stop').disabled = !['starting', 'training', 'evaluating'].includes(report.phase);
          $('swap').disabled = report.phase !== 'training' || !report.stages.some(stage => stage.kind === 'miner');
        });
        every(2, async () => showCurves(await get('api/curves')));
        every(2, showLog);
        every(5, async () => showPictures(await get('api/panels')));
        every(5, async () => {
          try { showMemory(await get('api/memory')); } catch (error) { if (error.status !== 404) throw error; }
        });
        $('log-of').onchange = () => showLog().catch(() => {});
        let resized;
        new ResizeObserver(() => {
          cancelAnimationFrame(resized);
          resized = requestAnimationFrame(() => { if (state) drawGraph(state); drawMemory(); });
        }).observe(document.body);
        matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawMemory);

        """#
}
