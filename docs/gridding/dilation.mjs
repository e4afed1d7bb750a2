// What `zoo.dilation` computes for plain rates, for the page beside this file: the rule of hybrid dilated
// convolution (Wang et al. 2018, section 3.2), its repair, the coverage of a stack, and the rule of sequences.
// tests/docs/test_gridding.py holds it against the Python package. Rates are lists of whole numbers from 1,
// first layer first.

const MAX_RATE = 1024;

// The verdict on one group of stacked layers, as `zoo.dilation.check` gives it.
export function check(rates, kernel) {
  const m = mValues(rates), factor = rates.reduce(gcd), reasons = [];
  if (factor > 1) {
    reasons.push(`the rates share the factor ${factor}: at most one pixel in ${factor} is reached along each axis`);
  }
  if (m.length > 1 && m[1] > kernel) reasons.push(`M_2 = ${m[1]} is larger than the kernel size ${kernel}`);
  const passes = reasons.length === 0;
  return { rates, kernel, passes, m, common_factor: factor, reasons, advice: adviceOn(rates, kernel, passes) };
}

// As many rates that pass the rule and leave no hole, as `zoo.dilation.suggest` finds them.
export function suggest(rates, kernel) {
  if (check(rates, kernel).passes && isGapless(layersOf(rates, kernel))) return rates;
  const wanted = [...rates].sort((a, b) => a - b), found = [1];
  for (const rate of wanted.slice(1)) found.push(Math.min(rate, kernel + 2 * sum(found.slice(1))));
  for (let missing = sum(wanted) - sum(found); missing > 0; missing--) {
    const place = placeToRaise(found, wanted, kernel);
    if (place === null) break;
    found[place]++;
  }
  return found;
}

// Layers of one kernel, or of one kernel each.
export function layersOf(rates, kernel) {
  const kernels = Array.isArray(kernel) ? kernel : [kernel];
  return rates.map((rate, i) => ({ rate, taps: kernels.length === 1 ? kernels[0] : kernels[i] }));
}

// Paths from each position of one axis to one output position, exact: an array of BigInt, 0n at a hole.
export function coverage(layers) {
  const line = new Array(receptiveField(layers)).fill(0n);
  line[0] = 1n;
  let filled = 1;
  for (const { rate, taps } of layers) {
    const source = line.slice(0, filled);
    for (let tap = 1; tap < taps; tap++) source.forEach((paths, i) => { line[i + tap * rate] += paths; });
    filled += (taps - 1) * rate;
  }
  return line;
}

// Positions from the first to the last that one output position reads along an axis, holes included.
export function receptiveField(layers) {
  return 1 + sum(layers.map(({ rate, taps }) => (taps - 1) * rate));
}

// Whether every position of the receptive field is reached; the order of the layers does not matter.
export function isGapless(layers) {
  return firstTooLarge(layers) === null;
}

// The rule and the counts for stacked 1-D convolutions, as `zoo.dilation.check_sequence` gives them.
export function checkSequence(rates, kernel, causal) {
  const layers = layersOf(rates, kernel), counts = coverage(layers), wide = firstTooLarge(layers);
  const spans = layers.map(({ rate, taps }) => (taps - 1) * rate);
  const last = causal ? 0 : sum(spans.map((span) => span - Math.floor(span / 2)));
  const reasons = wide === null ? [] : [
    `rate ${wide.rate} is larger than ${wide.reach + 1}, 1 more than what the rates below it reach`,
  ];
  return {
    rates, kernels: layers.map(({ taps }) => taps), causal, receptive_field: counts.length,
    offsets: [last - counts.length + 1, last], holes: counts.filter((paths) => paths === 0n).length,
    fewest: counts.reduce((a, b) => (a < b ? a : b)), most: counts.reduce((a, b) => (a > b ? a : b)),
    passes: wide === null, reasons,
  };
}

function firstTooLarge(layers) {
  let reach = 0;
  for (const { rate, taps } of [...layers].sort((a, b) => a.rate - b.rate || a.taps - b.taps)) {
    if (taps > 1 && rate > reach + 1) return { rate, reach };
    reach += (taps - 1) * rate;
  }
  return null;
}

function mValues(rates) {
  const m = [rates.at(-1)];
  for (const rate of rates.slice(0, -1).reverse()) m.unshift(Math.max(m[0] - 2 * rate, 2 * rate - m[0], rate));
  return m;
}

function adviceOn(rates, kernel, passes) {
  const advice = [], teeth = teethOf(rates), gapless = isGapless(layersOf(rates, kernel));
  if (rates.some((rate) => rate !== 1) && !isSawTooth(teeth)) {
    advice.push("the rates do not form a saw tooth; the paper lets them rise within a group and start low again in the next");
  }
  if (!passes && teeth.length > 1 && teeth.every((tooth) => check(tooth, kernel).passes)) {
    const groups = teeth.map((tooth) => tooth.join("-")).join(", ");
    advice.push(`the rule is for one group at a time, and each group here passes: ${groups}`);
  }
  if (passes && !gapless) advice.push("the group passes the rule and still leaves pixels that no path reaches");
  if (!passes && gapless) {
    advice.push("the group fails the rule and still reaches every pixel of its receptive field");
  }
  return advice;
}

function teethOf(rates) {
  const teeth = [[rates[0]]];
  for (const rate of rates.slice(1)) {
    if (rate < teeth.at(-1).at(-1)) teeth.push([]);
    teeth.at(-1).push(rate);
  }
  return teeth;
}

function isSawTooth(teeth) {
  const rising = teeth.every((tooth) => new Set(tooth).size === tooth.length);
  return rising && teeth.slice(0, -1).every((tooth) => tooth.length > 1) && teeth[0].length > 1;
}

function placeToRaise(found, wanted, kernel) {
  let best = null, before = 0;
  for (let i = 1; i < found.length; i++) {
    const limit = Math.min(kernel + 2 * before, MAX_RATE), strayed = found[i] - wanted[i];
    const grows = found[i] < limit && (i + 1 === found.length || found[i] < found[i + 1]);
    // Ties go to the deeper layer, so that a group of equal rates is raised into a rising one.
    if (grows && (best === null || strayed <= best.strayed)) best = { place: i, strayed };
    before += found[i];
  }
  return best && best.place;
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

function sum(numbers) {
  return numbers.reduce((a, b) => a + b, 0);
}
