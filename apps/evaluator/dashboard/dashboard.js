/**
 * The dashboard: shows the evaluator's state (`GET api/overview`) and follows it as it changes (`GET api/events`).
 *
 * It inserts every text as a text node, because object keys, corpus names and messages come from outside.
 * It redraws a part of the page only when that part of the state changed, so that focus and selection stay.
 * It does not promise that numbers are current: while "reconnecting", they are as of the time shown.
 */
import uPlot from './uplot.js';

/** @typedef {import('../src/evaluator-stage.js').DashboardState} DashboardState */
/** @typedef {DashboardState['evaluations'][number]} ModelEvaluated */
/** @typedef {{ key: string, name: string, colour: string, dash?: number[] }} Line */

const stageNames = /** @type {const} */ (['ingest', 'features', 'trainer', 'evaluator', 'predictor']);
const emotionTargets = ['emotion', 'activation', 'valence', 'clusters-3', 'clusters-5'];
const tasks = [...emotionTargets, 'gender', 'speaker'];
const splits = ['test', 'dev', 'withheld'];
const mostRecallBars = 8;
const mostMatrixClasses = 10;
const fewestSpeakersForInterval = 5;

// ---- words and numbers -------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat('en');
const oneDecimal = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const clockAndDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** @param {number | null | undefined} share */
const percent = (share) => (share == null ? '–' : `${oneDecimal.format(share * 100)}\u00a0%`);
/** @param {number} count @param {string} noun */
const counted = (count, noun) => `${whole.format(count)} ${noun}${count === 1 ? '' : 's'}`;
/** @param {number | null | undefined} value */
const loss = (value) => (value == null ? '–' : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** @param {number} sec */
function duration(sec) {
  if (sec < 60) return sec === 0 ? '0 s' : `${oneDecimal.format(sec)} s`;
  const seconds = Math.round(sec);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${whole.format(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** Formats the time, with the day if it is not today. @param {string} iso */
function moment(iso) {
  const at = new Date(iso);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : clockAndDay.format(at);
}

// ---- elements ----------------------------------------------------------------------------------------------------

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @param {string} testId @param {...(string | Node)} content */
function fill(testId, ...content) {
  document.querySelector(`[data-testid="${testId}"]`)?.replaceChildren(...content);
}

/** Makes an element. Strings become text, never markup. @param {string} tag @param {Record<string, string>} attributes @param {...(string | Node)} content */
function el(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

/** Sets custom properties. The page's policy allows them; it forbids style attributes. @param {HTMLElement} element @param {Record<string, number | string>} properties */
function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(`--${name}`, String(value));
  return element;
}

/** @param {string} iso */
const timeOf = (iso) => el('time', { datetime: iso, title: iso }, moment(iso));
/** @param {number} share @param {number | null} chance @param {string} kind */
const bar = (share, chance = null, kind = '') =>
  el(
    'span',
    { class: 'bar', 'aria-hidden': 'true' },
    styled(el('span', { class: `fill ${kind}` }), { share }),
    ...(chance === null ? [] : [styled(el('span', { class: 'chance' }), { chance })]),
  );

// ---- charts ------------------------------------------------------------------------------------------------------

const colourProbe = document.body.appendChild(el('i', { hidden: '' }));
/** Resolves a colour for the canvas: the browser resolves `light-dark()` only on an element that uses it. @param {string} name of a custom property */
function colourOf(name) {
  colourProbe.style.color = `var(--${name})`;
  return getComputedStyle(colourProbe).color;
}

/** @type {uPlot[]} */
const charts = [];
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach((chart) => chart.redraw(false)));

/**
 * Makes a line chart over steps. The buttons of its legend hide and show lines, and show the newest value or the value under
 * the pointer.
 * @param {HTMLElement} figure
 * @param {{ title: string, hint: string, empty: string, format: (value: number | null | undefined) => string,
 *   formatTicks: (ticks: number[]) => string[], range: (min: number | null, max: number | null) => [number, number], height?: number, sync?: string,
 *   marks?: { value: number, text: string, colour: string, side: 'left' | 'right', line?: string }[] }} options
 */
function createChart(figure, { title, hint, empty, format, formatTicks, range, height = 200, sync, marks = [] }) {
  const under = el('output');
  const plot = styled(el('div', { class: 'plot', role: 'img', 'aria-label': title, 'data-empty': empty }), {
    'plot-height': `${height}px`,
  });
  const legend = el('div', { class: 'legend', role: 'group', 'aria-label': `Lines of ${title}` });
  figure.replaceChildren(
    el('figcaption', {}, el('div', { class: 'chart-head' }, el('h3', {}, title), under), el('p', { class: 'hint' }, hint)),
    plot,
    legend,
  );
  /** @type {uPlot | undefined} */
  let chart;
  /** @type {Line[]} */
  let lines = [];
  /** @type {HTMLElement[]} */
  let values = [];
  let shownMarks = marks;

  const sayValues = () => {
    if (!chart) return;
    const at = chart.cursor.idx ?? null;
    under.textContent = at === null ? '' : `step ${whole.format(chart.data[0][at] ?? 0)}`;
    values.forEach((value, index) => {
      const column = /** @type {(number | null)[]} */ (chart?.data[index + 1] ?? []);
      value.textContent = format(at === null ? column.findLast((each) => each !== null) : column[at]);
    });
  };

  const drawMarks = (/** @type {uPlot} */ { ctx, bbox, valToPos, series }) => {
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    for (const { value, text, colour, side, line } of shownMarks) {
      if (line && !lines.some(({ key }, index) => key.startsWith(line) && series[index + 1]?.show)) continue;
      const y = valToPos(value, 'y', true);
      ctx.strokeStyle = colourOf(colour);
      ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      // A halo keeps the text readable where a line crosses it.
      const inset = 6 * devicePixelRatio;
      const [beside, base] = [side === 'left' ? bbox.left + inset : bbox.left + bbox.width - inset, y - inset];
      ctx.textAlign = side;
      ctx.textBaseline = 'alphabetic';
      ctx.setLineDash([]);
      ctx.lineWidth = 4 * devicePixelRatio;
      ctx.strokeStyle = colourOf('surface');
      ctx.strokeText(text, beside, base);
      ctx.fillStyle = colourOf('muted');
      ctx.fillText(text, beside, base);
    }
    ctx.restore();
  };

  const axis = { stroke: () => colourOf('muted'), font: '12px system-ui, sans-serif', ticks: { show: false } };
  const grid = { stroke: () => colourOf('line'), width: 1 };
  const build = () => {
    if (chart) charts.splice(charts.indexOf(chart), 1);
    chart?.destroy();
    chart = new uPlot(
      {
        width: plot.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, ...(sync ? { sync: { key: sync } } : {}) },
        scales: { x: { time: false, range: (_u, min, max) => widened(min, max) }, y: { range: (_u, min, max) => range(min, max) } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 28,
            values: (_u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? whole.format(tick) : '')),
          },
          { ...axis, grid, size: 46, values: (_u, ticks) => formatTicks(ticks) },
        ],
        series: [
          {},
          ...lines.map(({ name, colour, dash }) => ({
            label: name,
            stroke: () => colourOf(colour),
            width: 2,
            spanGaps: true,
            ...(dash ? { dash } : {}),
            points: { size: 6 },
          })),
        ],
        hooks: { draw: [drawMarks], setCursor: [sayValues], setData: [sayValues] },
      },
      /** @type {any} */ ([[], ...lines.map(() => [])]),
      plot,
    );
    charts.push(chart);
  };

  const buildLegend = () => {
    values = lines.map(() => el('output'));
    legend.replaceChildren(
      ...lines.map(({ name, colour, dash }, index) => {
        const button = el(
          'button',
          { type: 'button', 'aria-pressed': 'true' },
          swatch(colour, dash),
          el('span', {}, name),
          values[index] ?? '',
        );
        button.addEventListener('click', () => {
          const show = !chart?.series[index + 1]?.show;
          chart?.setSeries(index + 1, { show });
          button.setAttribute('aria-pressed', String(show));
        });
        return button;
      }),
    );
  };

  new ResizeObserver(() => chart && plot.clientWidth > 0 && chart.setSize({ width: plot.clientWidth, height })).observe(plot);

  return {
    /** @param {Line[]} newLines @param {(number | null)[][]} columns steps first @param {typeof marks} newMarks */
    show(newLines, columns, newMarks = marks) {
      shownMarks = newMarks;
      if (!chart || newLines.map(({ key }) => key).join() !== lines.map(({ key }) => key).join()) {
        lines = newLines;
        build();
        buildLegend();
      }
      chart?.setData(/** @type {any} */ (columns));
      const some = columns.slice(1).some((column) => column.some((value) => value !== null));
      if (some) plot.removeAttribute('data-empty');
      else plot.setAttribute('data-empty', empty);
      plot.setAttribute('aria-label', `${title}: ${some ? 'newest values are in the legend' : empty}`);
    },
  };
}

/** Formats ticks with as many decimals as their distance needs: two for 0.25, one for 0.2. @param {number[]} ticks */
function evenTicks(ticks) {
  const apart = (ticks[1] ?? 1) - (ticks[0] ?? 0);
  const decimals = [0, 1, 2, 3, 4].find((each) => Number.isInteger(Number((apart * 10 ** each).toFixed(6)))) ?? 5;
  return ticks.map((tick) => tick.toFixed(decimals));
}

/** Widens the range of a single step. @param {number | null} min @param {number | null} max @returns {[number, number]} */
const widened = (min, max) => (min === null || max === null ? [0, 1] : min === max ? [min - 1, max + 1] : [min, max]);
/** Starts the range at zero, so that heights of losses can be compared. @param {number | null} min @param {number | null} max @returns {[number, number]} */
const fromZero = (min, max) => [Math.min(0, min ?? 0), (max ?? 1) > 0 ? (max ?? 1) * 1.08 : 1];

/** @param {string} colour @param {number[]} dash */
function swatch(colour, dash = []) {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 26 8');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(namespace, 'path');
  path.setAttribute('d', 'M0 4h26');
  path.setAttribute('stroke-dasharray', dash.join(' '));
  path.style.stroke = `var(--${colour})`;
  svg.append(path);
  return svg;
}

/** @type {{ title: string, hint: string, id: string, lines: Line[] }[]} */
const phases = [
  {
    id: 'chart-reconstruction',
    title: 'Reconstruction phase',
    hint: 'Loss: distance between the tile and the decoder’s output.',
    lines: [{ key: 'reconstruction', name: 'reconstruction', colour: 'blue' }],
  },
  {
    id: 'chart-regularisation',
    title: 'Regularisation phase',
    hint: 'Losses of the two opponents, discriminator and generator.',
    lines: [
      { key: 'discriminator', name: 'discriminator', colour: 'vermillion' },
      { key: 'generator', name: 'generator', colour: 'orange', dash: [8, 4] },
    ],
  },
  {
    id: 'chart-classification',
    title: 'Classification phase',
    hint: 'Loss of each task, on tiles that have its label.',
    lines: [
      { key: 'emotion', name: 'emotion', colour: 'green' },
      { key: 'gender', name: 'gender', colour: 'purple', dash: [8, 4] },
      { key: 'speaker', name: 'speaker', colour: 'sky', dash: [3, 3] },
    ],
  },
];
const lossCharts = phases.map(({ id, title, hint, lines }) => ({
  lines,
  chart: createChart(byId(id), {
    title,
    hint,
    empty: 'No step yet',
    format: loss,
    formatTicks: evenTicks,
    range: fromZero,
    sync: 'training',
  }),
}));
/** @type {Line[]} */
const accuracyLines = [{ key: 'discriminatorAccuracy', name: 'accuracy', colour: 'vermillion' }];
const accuracyChart = createChart(byId('chart-accuracy'), {
  title: 'Discriminator accuracy',
  hint: 'At 0.5 the discriminator cannot tell the latent z from the prior.',
  empty: 'No step yet',
  format: (value) => (value == null ? '–' : value.toFixed(2)),
  formatTicks: evenTicks,
  range: () => [0, 1],
  sync: 'training',
  marks: [{ value: 0.5, text: 'chance', colour: 'text', side: 'left' }],
});
const uaChart = createChart(byId('chart-ua'), {
  title: 'UA over checkpoints',
  hint: 'By step of the checkpoint. Dotted lines mark chance.',
  empty: 'No checkpoint yet',
  format: percent,
  formatTicks: (ticks) => ticks.map((tick) => `${Math.round(tick * 100)}\u00a0%`),
  range: () => [0, 1],
  height: 264,
});

// ---- parts of the page ---------------------------------------------------------------------------------------------

/** @param {DashboardState['stages'] | null} stages null while the evaluator does not answer */
function showStages(stages) {
  byId('stages').replaceChildren(
    ...stageNames.map((name) => {
      const light = stages?.[name] ?? 'unknown';
      return el('li', { class: 'stage', 'data-light': light, 'data-testid': `stage-${name}` }, el('b', {}, name), el('span', {}, light));
    }),
  );
}

/** @param {Pick<DashboardState, 'utterances' | 'streams' | 'silenceCutSec' | 'tilesLeftOut' | 'reconciliation'>} state */
function showWay({ utterances, streams, silenceCutSec, tilesLeftOut, reconciliation }) {
  const { utterances: known, inShards, deadLettered, inFlight } = reconciliation;
  const { labelled, unlabelled } = streams;
  fill('utterances-live', whole.format(utterances.live));
  fill('in-shards', whole.format(inShards));
  fill('dead-lettered', whole.format(deadLettered));
  fill('in-flight', whole.format(inFlight));
  const neverBorn = known - utterances.live;
  byId('live-note').textContent = neverBorn > 0 ? `and ${whole.format(neverBorn)} that ingest dead-lettered` : 'in the bucket';
  byId('shards-note').textContent = `${counted(labelled.shards + unlabelled.shards, 'shard')}`;

  const balance = byId('balance');
  const sum = `${whole.format(known)} = ${whole.format(inShards)} in shards + ${whole.format(deadLettered)} dead-lettered + ${whole.format(inFlight)} in flight`;
  balance.dataset.balance = known === 0 ? 'empty' : inFlight === 0 ? 'even' : 'moving';
  balance.textContent =
    known === 0
      ? 'No utterances yet.'
      : inFlight === 0
        ? `It adds up: ${sum}`
        : `${sum}: ${inFlight === 1 ? 'one is' : `${whole.format(inFlight)} are`} still in flight`;
  for (const [index, share] of [inShards, deadLettered, inFlight].entries()) styled(byId('shares').children[index], { share });

  fill('tiles-labelled', whole.format(labelled.tiles));
  fill('tiles-unlabelled', whole.format(unlabelled.tiles));
  byId('labelled-note').textContent = `${counted(labelled.utterances, 'utterance')}, ${counted(labelled.shards, 'shard')}`;
  byId('unlabelled-note').textContent = `${counted(unlabelled.utterances, 'utterance')}, ${counted(unlabelled.shards, 'shard')}`;
  fill('audio', duration(labelled.audioSec + unlabelled.audioSec));
  fill('silence-cut', duration(silenceCutSec));

  const corpora = Object.entries(utterances.byCorpus).sort(([, a], [, b]) => b - a);
  const bySplit = Object.entries(utterances.bySplit).sort(([a], [b]) => (a < b ? 1 : -1));
  byId('corpora').replaceChildren(
    ...(corpora.length === 0 ? [] : ['Corpora: ', ...listed(corpora), '. Splits: ', ...listed(bySplit), '.']),
  );
  const leftOut = Object.entries(tilesLeftOut).filter(([, tiles]) => tiles > 0);
  byId('left-out').textContent =
    leftOut.length === 0 ? '' : `Left out: ${leftOut.map(([reason, tiles]) => `${counted(tiles, 'tile')} with ${reason}`).join(', ')}.`;
}

/** "a 12, b 3 and 4 more" @param {[string, number][]} counts */
function listed(counts, most = 6) {
  const shown = counts
    .slice(0, most)
    .flatMap(([name, count], index) => [index ? ', ' : '', el('bdi', {}, name), ` ${whole.format(count)}`]);
  return counts.length > most ? [...shown, ` and ${counts.length - most} more`] : shown;
}

/** @param {{ training: DashboardState['training'], checkpoint: DashboardState['checkpoint'], shards: number }} state */
function showTraining({ training: { started, finished, steps }, checkpoint, shards }) {
  const newest = steps.at(-1);
  const done = Boolean(finished && (!started || (finished.runId === started.runId && finished.round >= started.round)));
  const current = done
    ? finished
    : newest && started && newest.runId === started.runId && newest.round === started.round
      ? newest
      : started;
  const target = started ? started.step + started.steps : (finished?.step ?? 0);
  const step = current?.step ?? 0;
  byId('round').textContent = current ? `Round ${whole.format(current.round)}${done ? ', finished' : ''}` : 'No round yet';
  byId('step').replaceChildren(
    ...(current ? [`Step ${whole.format(step)} `, el('small', {}, `of ${whole.format(Math.max(target, step))}`)] : ['–']),
  );
  byId('progress').value = done ? 1 : started ? Math.min(1, Math.max(0, (step - started.step) / started.steps)) : 0;
  byId('training-hint').replaceChildren(...trainingHint({ started, finished, done, newest, shards }));

  const isOld = finished && current && finished.round !== current.round;
  const ofRound = () => (isOld ? [el('small', {}, `round ${finished.round}`)] : []);
  fill('tiles-per-sec', finished ? `${oneDecimal.format(finished.tilesPerSec)} tiles/s` : '–', ...ofRound());
  fill('backend', finished?.backend || checkpoint?.backend || '–');
  fill('step-time', newest ? `${whole.format(Math.round(newest.stepMs))} ms` : '–');
  fill(
    'round-tiles',
    ...(started
      ? [`${whole.format(started.tiles.labelled)} labelled`, el('small', {}, `${whole.format(started.tiles.unlabelled)} unlabelled`)]
      : ['–']),
  );
  fill('round-speakers', started ? whole.format(started.speakers) : '–');
  fill('checkpoint', ...(checkpoint ? [`step ${whole.format(checkpoint.step)}`, el('small', {}, timeOf(checkpoint.savedAt))] : ['–']));
  const findings = newest?.findings ?? [];
  byId('findings').hidden = findings.length === 0;
  byId('findings').replaceChildren(...findings.map((/** @type {string} */ finding) => el('li', {}, finding)));
  showLosses(steps);
}

/** @param {DashboardState['training']['steps']} steps */
function showLosses(steps) {
  const x = steps.map((each) => each.step);
  const columns = (/** @type {Line[]} */ lines) => [
    x,
    ...lines.map(({ key }) => steps.map(({ losses }) => /** @type {any} */ (losses)[key])),
  ];
  for (const { chart, lines } of lossCharts) chart.show(lines, columns(lines));
  accuracyChart.show(accuracyLines, columns(accuracyLines));
}

/** @param {{ started: any, finished: any, done: boolean, newest: any, shards: number }} of */
function trainingHint({ started, finished, done, newest, shards }) {
  if (!started && !finished && shards === 0)
    return [
      'No shard yet. Copy audio into ',
      el('code', {}, 'corpora/<name>/'),
      ' or run ',
      el('code', {}, './undertone put DIR --corpus NAME'),
    ];
  if (!started && !finished) return ['Shards have come. The first round starts when no more have come for a while.'];
  if (done)
    return [`Took ${duration(finished.wallSec)}, finished `, timeOf(finished.at), '. The next round starts after new shards have come.'];
  if (newest?.round !== started.round) return ['Started ', timeOf(started.at), '. The first losses come in a moment.'];
  return ['Started ', timeOf(started.at), ', newest step ', timeOf(newest.at)];
}

/** @typedef {DashboardState['promotions'][number]} PromotionState */

/** @param {Pick<DashboardState, 'promotions' | 'whyNothingCanBePromoted'>} state */
function showChampions({ promotions, whyNothingCanBePromoted }) {
  byId('champions').replaceChildren(
    ...(promotions.length > 0
      ? promotions.map(championOf)
      : [el('p', { class: 'empty' }, 'No champion yet. The first model above chance on dev speakers becomes the champion.')]),
    ...(whyNothingCanBePromoted ? [el('p', { class: 'hint', 'data-testid': 'why-nothing' }, whyNothingCanBePromoted)] : []),
  );
}

/** Shows the champion of a target and the last decision about it. @param {PromotionState} promotion */
function championOf({ target, champion, championUa, rejected }) {
  const last = champion && rejected ? (rejected.at > champion.at ? rejected : champion) : (champion ?? rejected);
  return el(
    'div',
    { class: 'champion', 'data-testid': `champion-${target}` },
    el(
      'div',
      {},
      el('h3', {}, `Champion of ${target}`),
      ...(champion
        ? [
            el(
              'p',
              { class: 'step' },
              el('span', { 'data-testid': `champion-ua-${target}` }, championUa === null ? 'UA unknown' : `UA ${percent(championUa)}`),
              ' ',
              el('small', {}, 'on dev speakers'),
            ),
            el(
              'p',
              { class: 'hint' },
              el('bdi', {}, champion.challenger.runId),
              `, step ${whole.format(champion.challenger.step)}; number ${whole.format(champion.number)}, since `,
              timeOf(champion.at),
              champion.by === 'person' ? ', promoted by hand' : '',
            ),
          ]
        : [el('p', { class: 'step' }, 'None yet')]),
    ),
    el('div', { class: 'decision', 'data-testid': `decision-${target}` }, ...(last ? decisionOf(last) : [])),
  );
}

/** @param {NonNullable<PromotionState['champion'] | PromotionState['rejected']>} fact */
function decisionOf({ type, challenger, why, at }) {
  const verdict = type === 'ModelPromoted' ? 'promoted' : 'rejected';
  return [
    el('h4', {}, 'Last decision, ', timeOf(at)),
    el(
      'p',
      { class: 'verdict', 'data-verdict': verdict },
      el('bdi', {}, challenger.runId),
      `, step ${whole.format(challenger.step)}, was ${verdict}`,
    ),
    el('p', {}, why),
  ];
}

/** @param {ModelEvaluated[]} evaluations */
function showEvaluations(evaluations) {
  const ordered = evaluations.toSorted(
    (a, b) => tasks.indexOf(a.task) - tasks.indexOf(b.task) || splits.indexOf(a.split) - splits.indexOf(b.split),
  );
  byId('evaluations').tBodies[0].replaceChildren(...ordered.map(evaluationRow));
  byId('evaluations').hidden = ordered.length === 0;
  byId('evaluations-empty').hidden = ordered.length > 0;
  showConfusion(
    ordered.find(({ task, split }) => emotionTargets.includes(task) && split === 'test') ??
      ordered.find(({ task }) => emotionTargets.includes(task)),
  );
}

/** @param {ModelEvaluated} evaluation */
function evaluationRow(evaluation) {
  const { task, split, n, speakers, wa, ua, classes, step, runId } = evaluation;
  const chance = 1 / classes.length;
  const id = `${task}-${split}`;
  const cell = (/** @type {string} */ label, /** @type {string} */ kind, /** @type {(string | Node)[]} */ ...content) =>
    el('td', { role: 'cell', class: kind, 'data-label': label }, el('div', {}, ...content));
  return el(
    'tr',
    { role: 'row', 'data-testid': `evaluation-${id}` },
    el(
      'th',
      { scope: 'row', role: 'rowheader', title: `run ${runId}` },
      `${task}, ${split}`,
      el('small', {}, `checkpoint of step ${whole.format(step)}`),
    ),
    cell('Utterances', 'figure', whole.format(n)),
    cell('Speakers', 'figure', whole.format(speakers)),
    cell('WA', 'figure', el('span', { 'data-testid': `wa-${id}` }, percent(wa))),
    cell('UA', 'figure ua', el('span', { 'data-testid': `ua-${id}` }, percent(ua)), ...fairness(evaluation)),
    cell('95 % interval', '', ...interval(evaluation, chance)),
    cell('Chance', 'figure', percent(chance)),
    cell('Recall by class', '', recalls(evaluation, chance)),
  );
}

/** UA by gender, and of single speakers. @param {ModelEvaluated} evaluation */
function fairness({ task, split, byGender, spread }) {
  const named = { female: 'women', male: 'men' };
  const genders = Object.entries(byGender ?? {}).map(([gender, score]) => `${named[gender]} ${percent(score.ua)}`);
  const speakers = spread ? [`median speaker ${percent(spread.median)}`, `worst ${percent(spread.worst)}`] : [];
  const lines = [genders, speakers].filter((parts) => parts.length > 0).map((parts) => parts.join(', '));
  return lines.map((line) => el('small', { 'data-testid': `fair-${task}-${split}` }, line));
}

/** @param {ModelEvaluated} evaluation @param {number} chance */
function interval({ ua, uaInterval, speakers, split }, chance) {
  const [low, high] = uaInterval ?? [ua, ua];
  const forest = el(
    'span',
    { class: 'forest', 'aria-hidden': 'true' },
    styled(el('span', { class: 'range' }), { low, high }),
    styled(el('span', { class: 'chance' }), { chance }),
    styled(el('span', { class: 'point' }), { share: ua }),
  );
  if (uaInterval) return [forest, el('small', {}, `${percent(low)} to ${percent(high)}`)];
  const why =
    split === 'withheld'
      ? 'none, because the speakers are the classes'
      : speakers < fewestSpeakersForInterval
        ? 'none, because there are fewer than five speakers'
        : 'none';
  return [forest, el('small', {}, why)];
}

/** @param {ModelEvaluated} evaluation @param {number} chance */
function recalls({ classes, recall }, chance) {
  if (classes.length > mostRecallBars) {
    const known = classes
      .map((name) => recall[name])
      .filter((each) => each != null)
      .sort((a, b) => a - b);
    const middle = known[Math.floor(known.length / 2)];
    return el(
      'span',
      {},
      `${counted(classes.length, 'class').replace(/classs$/, 'classes')}`,
      el('small', {}, `lowest ${percent(known[0])}, median ${percent(middle)}, highest ${percent(known.at(-1))}`),
    );
  }
  return el(
    'ul',
    { class: 'recalls' },
    ...classes.map((name) => {
      const share = recall[name];
      return el('li', {}, el('bdi', { title: name }, name), bar(share ?? 0, chance), el('b', {}, share == null ? 'none' : percent(share)));
    }),
  );
}

/** @param {ModelEvaluated | undefined} evaluation */
function showConfusion(evaluation) {
  const shown = evaluation && evaluation.confusion.length > 0 && evaluation.classes.length <= mostMatrixClasses;
  const title = el('h3', { id: 'confusion-title' }, `Confusion, emotion ${evaluation?.split ?? 'test'}`);
  if (!shown) {
    byId('confusion').replaceChildren(title, el('p', { class: 'empty' }, 'No evaluation of emotion yet.'));
    return;
  }
  const { classes, confusion, n, step } = evaluation;
  byId('confusion').replaceChildren(
    title,
    el(
      'p',
      { class: 'hint' },
      `${counted(n, 'utterance')}, checkpoint of step ${whole.format(step)}. Below each count: its share of the row.`,
    ),
    el(
      'table',
      { class: 'matrix', 'aria-labelledby': 'confusion-title' },
      el('colgroup', {}, el('col', { class: 'names' }), ...classes.map(() => el('col'))),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('td', { class: 'corner', rowspan: '2' }, 'truth ↓'),
          el('th', { class: 'axis', scope: 'colgroup', colspan: String(classes.length) }, 'prediction →'),
        ),
        el('tr', {}, ...classes.map((name) => el('th', { scope: 'col', title: name }, el('bdi', {}, name)))),
      ),
      el('tbody', {}, ...classes.map((name, row) => confusionRow(name, row, confusion[row] ?? []))),
    ),
  );
}

/** @param {string} name @param {number} row @param {number[]} counts */
function confusionRow(name, row, counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return el(
    'tr',
    {},
    el('th', { scope: 'row', title: name }, el('bdi', {}, name), el('small', {}, whole.format(total))),
    ...counts.map((count, column) => {
      const share = total > 0 ? count / total : 0;
      const kind = row === column ? 'right' : 'wrong';
      return styled(
        el('td', { class: kind }, whole.format(count), el('small', {}, total > 0 ? `${Math.round(share * 100)}\u00a0%` : '–')),
        {
          share,
        },
      );
    }),
  );
}

const lookOfTask = /** @type {Record<string, string>} */ ({
  ...Object.fromEntries(emotionTargets.map((target) => [target, 'green'])),
  gender: 'purple',
  speaker: 'sky',
});
const dashOfSplit = /** @type {Record<string, number[] | undefined>} */ ({ test: undefined, dev: [8, 4], withheld: [3, 3] });

/** Shows the newest run only, because steps of different runs cannot be compared. @param {Pick<DashboardState, 'history' | 'evaluations'>} state */
function showHistory({ history, evaluations }) {
  const run = history.at(-1)?.runId;
  const own = history.filter(({ runId }) => runId === run);
  const steps = [...new Set(own.map(({ step }) => step))].sort((a, b) => a - b);
  const keys = tasks
    .flatMap((task) => splits.map((split) => ({ task, split })))
    .filter(({ task, split }) => own.some((each) => each.task === task && each.split === split));
  const lines = keys.map(({ task, split }) => ({
    key: `${task}/${split}`,
    name: `${task}, ${split}`,
    colour: lookOfTask[task] ?? 'text',
    dash: dashOfSplit[split],
  }));
  const columns = keys.map(({ task, split }) => {
    const uaAt = new Map(own.filter((each) => each.task === task && each.split === split).map(({ step, ua }) => [step, ua]));
    return steps.map((step) => uaAt.get(step) ?? null);
  });
  const marks = tasks.flatMap((task) => {
    const classes = evaluations.find((each) => each.task === task)?.classes.length;
    return classes
      ? [
          {
            value: 1 / classes,
            text: `chance ${task}`,
            colour: lookOfTask[task] ?? 'text',
            side: /** @type {const} */ ('right'),
            line: `${task}/`,
          },
        ]
      : [];
  });
  uaChart.show(lines, [steps, ...columns], marks);
}

/** @param {DashboardState['troubles']} troubles */
function showTroubles(troubles) {
  byId('troubles').hidden = troubles.length === 0;
  byId('troubles').replaceChildren(...troubles.map((line) => el('li', {}, el('bdi', {}, line))));
}

/** @param {DashboardState['deadLetters']} letters */
function showDeadLetters({ total, byCode, latest }) {
  fill('dead-letters-total', whole.format(total));
  const codes = Object.entries(byCode).sort(([, a], [, b]) => b - a);
  const most = codes[0]?.[1] ?? 1;
  byId('codes').tBodies[0].replaceChildren(
    ...codes.map(([code, count]) =>
      el(
        'tr',
        {},
        el('th', { scope: 'row' }, el('code', {}, code), bar(count / most, null, 'dead-lettered')),
        el('td', {}, whole.format(count)),
      ),
    ),
  );
  byId('codes-hint').replaceChildren(
    ...(total > 0 ? [el('code', {}, './undertone replay'), ' tries their objects again.'] : ['None so far.']),
  );
  byId('latest-title').textContent = total > latest.length ? `Latest ${latest.length} of ${whole.format(total)}` : 'Latest';
  byId('letters').hidden = total === 0;
  byId('letters-empty').hidden = total > 0;
  byId('letters').tBodies[0].replaceChildren(
    ...latest.map(({ key, stage, code, message, at }) =>
      el(
        'tr',
        { role: 'row' },
        el('td', { role: 'cell', 'data-label': 'When' }, timeOf(at)),
        el('td', { role: 'cell', 'data-label': 'Stage and code' }, el('div', {}, el('code', {}, code), el('small', {}, stage))),
        el(
          'td',
          { role: 'cell', 'data-label': 'Key and message' },
          el('div', {}, el('bdi', { class: 'subject' }, key), el('bdi', { class: 'message' }, message)),
        ),
      ),
    ),
  );
}

// ---- following the state -------------------------------------------------------------------------------------------

/** Pairs of a part of the state and the function that shows it. @type {[(state: DashboardState) => any, (part: any) => void][]} */
const parts = [
  [({ stages }) => stages, showStages],
  [({ troubles }) => troubles, showTroubles],
  [
    ({ utterances, streams, silenceCutSec, tilesLeftOut, reconciliation }) => ({
      utterances,
      streams,
      silenceCutSec,
      tilesLeftOut,
      reconciliation,
    }),
    showWay,
  ],
  [
    ({ training, checkpoint, streams }) => ({ training, checkpoint, shards: streams.labelled.shards + streams.unlabelled.shards }),
    showTraining,
  ],
  [({ promotions, whyNothingCanBePromoted }) => ({ promotions, whyNothingCanBePromoted }), showChampions],
  [({ evaluations }) => evaluations, showEvaluations],
  [({ history, evaluations }) => ({ history, evaluations }), showHistory],
  [({ deadLetters }) => deadLetters, showDeadLetters],
];
/** @type {(string | undefined)[]} The state that each part showed last, as JSON. */
const shown = parts.map(() => undefined);
let states = 0;

/** @param {DashboardState} state */
function showState(state) {
  let changed = false;
  for (const [index, [select, show]] of parts.entries()) {
    const part = select(state);
    const seen = JSON.stringify(part);
    if (seen === shown[index]) continue;
    show(part);
    shown[index] = seen;
    changed = true;
  }
  if (!changed) return;
  // Nobody knows when the first state came about, so the page shows the time for which it holds.
  byId('changed-label').textContent = states++ === 0 ? 'State of' : 'Last change';
  byId('changed').textContent = moment(state.at);
  byId('changed').setAttribute('datetime', state.at);
}

/** @param {'live' | 'reconnecting' | 'full'} connection @param {string} words */
function showConnection(connection, words = connection) {
  byId('connection').textContent = words;
  byId('connection').dataset.connection = connection;
  document.body.dataset.connection = connection;
  if (connection === 'live') return;
  showStages(null);
  shown[0] = undefined;
}

const retryMs = 2_000;
/** A page without the event stream asks for the state this often. */
const askMs = 5_000;
const silenceMs = 15_000;
let heardAt = 0;

/**
 * Follows the events. EventSource reconnects by itself after a lost connection, but gives up after an answer that is not a
 * stream (a proxy's 502 while the evaluator restarts, a 503 for one client too many). Then this makes a new one.
 */
function follow() {
  const events = new EventSource('api/events');
  heardAt = Date.now();
  const again = async () => {
    events.close();
    clearInterval(watch);
    if (document.body.dataset.connection !== 'full') showConnection('reconnecting');
    const most = await mostClientsIfFull();
    if (most === null) return setTimeout(follow, retryMs);
    showConnection('full', `not live: ${most} other pages are open, so this page asks every ${askMs / 1000} s`);
    const state = await askState();
    if (state) showState(state);
    return setTimeout(follow, askMs);
  };
  events.onmessage = ({ data }) => {
    heardAt = Date.now();
    showConnection('live');
    showState(JSON.parse(data));
  };
  events.onerror = () => (events.readyState === EventSource.CLOSED ? again() : showConnection('reconnecting'));
  // A silent stream means an idle pipeline or a dead connection. Asking for the state tells them apart.
  const watch = setInterval(async () => {
    if (Date.now() - heardAt < silenceMs || events.readyState !== EventSource.OPEN) return;
    const state = await askState();
    if (!state) return again();
    heardAt = Date.now();
    showState(state);
  }, silenceMs / 3);
}

/** @returns {Promise<number | null>} the number of clients that the evaluator serves if it accepts no more, else null */
async function mostClientsIfFull() {
  try {
    const response = await fetch('api/events/clients', { signal: AbortSignal.timeout(5_000) });
    const { clients, most } = await response.json();
    return clients >= most ? most : null;
  } catch {
    return null;
  }
}

/** @returns {Promise<DashboardState | null>} */
async function askState() {
  try {
    const response = await fetch('api/overview', { signal: AbortSignal.timeout(5_000) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

showStages(null);
showLosses([]);
showChampions([]);
showEvaluations([]);
showHistory({ history: [], evaluations: [] });
follow();
