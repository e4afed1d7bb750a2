// node gridding.mjs: for each stack of standard input (JSON), what the page's module computes.

import { readFileSync } from "node:fs";
import { check, checkSequence, coverage, isGapless, layersOf, suggest } from "../../docs/gridding/dilation.mjs";

const { images, sequences } = JSON.parse(readFileSync(0, "utf8"));
const text = (key, value) => (typeof value === "bigint" ? String(value) : value);
const answers = {
  images: images.map(({ rates, kernel }) => ({
    report: check(rates, kernel), suggestion: suggest(rates, kernel), line: coverage(layersOf(rates, kernel)),
    covers: isGapless(layersOf(rates, kernel)),
  })),
  sequences: sequences.map(({ rates, kernel, causal }) => ({
    report: checkSequence(rates, kernel, causal), line: coverage(layersOf(rates, kernel)),
  })),
};
console.log(JSON.stringify(answers, text));
