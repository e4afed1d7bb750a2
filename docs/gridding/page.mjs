// The page about gridding: controls, picture and answer, kept in step with the address behind the #.

import { check, checkSequence, coverage, isGapless, layersOf, receptiveField, suggest } from "./dilation.mjs";
import { drawImage, drawSequence } from "./draw.mjs";

const MAX_RATE = 16;
const KERNELS = { image: { min: 3, max: 7, step: 2 }, causal: { min: 2, max: 6, step: 1 } };
const at = (id) => document.getElementById(id);
const form = document.querySelector("#gridding form");

function read() {
  const rates = [...at("rates").querySelectorAll("input")].map((input) => Number(input.value));
  return { kind: form.elements.kind.value, kernel: Number(at("kernel").value), groups: Number(at("groups").value), rates };
}

function write({ kind, kernel, groups, rates }) {
  form.elements.kind.value = kind;
  Object.assign(at("kernel"), KERNELS[kind]);
  at("kernel").value = kernel;
  at("groups").value = groups;
  at("layers").value = rates.length;
  setRates(rates);
}

function setRates(rates) {
  const rows = at("rates");
  rows.querySelectorAll("label").forEach((row) => row.remove());
  rates.forEach((rate, i) => {
    const row = document.createElement("label");
    row.className = "zoo-slider";
    row.htmlFor = `rate-${i}`;
    row.innerHTML = `<span>layer ${i + 1}</span><input type="range" id="rate-${i}" min="1" max="${MAX_RATE}"><output for="rate-${i}"></output>`;
    row.querySelector("input").value = rate;
    rows.append(row);
  });
}

function show() {
  const stack = read(), whole = Array(stack.groups).fill(stack.rates).flat();
  for (const output of form.querySelectorAll("output")) output.value = at(output.htmlFor.value).value;
  const layers = layersOf(whole, stack.kernel), line = coverage(layers);
  const facts = stack.kind === "image" ? imageFacts(stack, whole, line) : sequenceFacts(stack, whole);
  (stack.kind === "image" ? drawImage : drawSequence)(at("coverage"), line);
  at("coverage").setAttribute("aria-label", `${whole.join("-")} with kernel ${stack.kernel}: ${facts.summary}`);
  at("verdict").textContent = `${stack.rates.join("-")}: ${facts.good ? "pass" : "fail"}`;
  at("verdict").dataset.good = facts.good;
  at("reasons").replaceChildren(...facts.reasons.map((text) => element("li", text)));
  at("facts").replaceChildren(...facts.rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  at("suggestion").textContent = facts.suggestion;
  at("command").textContent = facts.command;
  at("most").textContent = `${facts.most.toLocaleString("en")} paths`;
  history.replaceState(null, "", `#${[stack.kind, stack.kernel, stack.groups, stack.rates.join(".")].join(",")}`);
}

function imageFacts({ kernel, rates, groups }, whole, line) {
  const report = check(rates, kernel), layers = layersOf(whole, kernel), field = receptiveField(layers);
  const reached = line.filter((paths) => paths > 0n).length ** 2, pixels = field ** 2, holes = pixels - reached;
  const better = suggest(rates, kernel), good = report.passes && isGapless(layers);
  const most = line.reduce((a, b) => (a > b ? a : b)) ** 2n;
  return {
    good, most, summary: `${holes} of ${pixels} pixels are never reached`,
    reasons: [...report.reasons, ...(holes ? ["pixels of the receptive field are never reached"] : []), ...report.advice],
    rows: [
      ["rule", report.passes ? "pass" : "fail"], ["M", report.m.join(", ")],
      ["common factor", report.common_factor], ["receptive field", `${field} × ${field} pixels`],
      ["holes", `${holes.toLocaleString("en")} of ${pixels.toLocaleString("en")} (${percent(reached, pixels)} reached)`],
    ],
    suggestion: better.join() === rates.join() ? "" : `Rates that pass without holes: ${better.join("-")}`,
    command: `zoo dilation check ${whole.join(" ")}${kernel === 3 ? "" : ` --kernel ${kernel}`}${groups > 1 ? "  # judged as one group" : ""}`,
  };
}

function sequenceFacts({ kernel }, whole) {
  const report = checkSequence(whole, kernel, true), field = report.receptive_field;
  return {
    good: report.passes, most: report.most, summary: `${report.holes} of ${field} samples are never reached`,
    reasons: report.reasons,
    rows: [
      ["rule", report.passes ? "pass" : "fail"],
      ["receptive field", `${field.toLocaleString("en")} samples, from ${report.offsets.join(" to ")}`],
      ["holes", `${report.holes} of ${field} (${percent(field - report.holes, field)} reached)`],
      ["paths", `${report.fewest.toLocaleString("en")} to ${report.most.toLocaleString("en")} from each sample`],
    ],
    suggestion: "", command: `zoo dilation check --causal --kernel ${kernel} ${whole.join(" ")}`,
  };
}

// As Python prints it, so that a line of the command reads the same.
const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

// What the address asks for, as far as the controls can show it; nothing else is believed.
function parsed(text) {
  const [kind, kernel, groups, rates] = text.split(",");
  const limits = KERNELS[kind], numbers = (rates ?? "").split(".").map(Number), size = Number(kernel), times = Number(groups);
  const isKernel = limits && size >= limits.min && size <= limits.max && (size - limits.min) % limits.step === 0;
  const areRates = numbers.length <= 6 && numbers.every((rate) => Number.isInteger(rate) && rate >= 1 && rate <= MAX_RATE);
  if (!isKernel || !areRates || ![1, 2, 3].includes(times)) return null;
  return { kind, kernel: size, groups: times, rates: numbers };
}

form.addEventListener("input", (event) => {
  const stack = read(), layers = Number(at("layers").value);
  if (event.target.name === "kind") write({ ...stack, kernel: stack.kind === "image" ? 3 : 2 });
  if (event.target.id === "layers") {
    setRates(Array.from({ length: layers }, (_, i) => stack.rates[i] ?? stack.rates.at(-1)));
  }
  show();
});
form.addEventListener("click", (event) => {
  const stack = parsed(event.target.dataset?.stack ?? "");
  if (stack) { write(stack); show(); }
});
window.addEventListener("hashchange", () => {
  const stack = parsed(location.hash.slice(1));
  if (stack) { write(stack); show(); }
});
// The colours are those of the page, by day and by night.
new MutationObserver(show).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });

write(parsed(location.hash.slice(1)) ?? { kind: "image", kernel: 3, groups: 1, rates: [2, 2, 2] });
show();
