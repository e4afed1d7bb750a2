// A model that is ready to run, and where it runs: WASM at once, WebGPU where that is equal and faster.

import { maskOf, tensorOf } from "./frame.js";

const RUNS = 3;
const EQUAL = 0.999; // share of the pixels that must have the same class on both

const adapters = { tflite: () => import("./litert.js"), onnx: () => import("./ort.js") };

export class Engine {
  constructor(bytes, info, runner) {
    Object.assign(this, { bytes, info, runner, closed: false });
  }

  static async open(bytes, info) {
    const { open } = await adapters[info.format]();
    return new Engine(bytes, info, await open(bytes, info));
  }

  get backend() {
    return this.runner.backend;
  }

  async run(source) {
    return await seen(this.runner, source, this.info);
  }

  // Try WebGPU on a picture that was segmented; true where it took over.
  async tryGPU(source) {
    if (this.tried || !(await hasGPU())) return false;
    this.tried = true;
    let other = null;
    try {
      const { open } = await adapters[this.info.format]();
      other = await open(this.bytes, this.info, { gpu: true });
      const [own, its] = [await timed(this.runner, source, this.info), await timed(other, source, this.info)];
      if (this.closed || its.seconds >= own.seconds || agreement(own.mask, its.mask) < EQUAL) {
        other.close();
        return false;
      }
    } catch {
      other?.close();
      return false;
    }
    this.runner.close();
    this.runner = other;
    return true;
  }

  close() {
    this.closed = true;
    this.runner.close();
  }
}

async function hasGPU() {
  if (new URLSearchParams(location.search).get("backend") === "wasm" || !navigator.gpu) return false;
  try {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter !== null && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

async function seen(runner, source, info) {
  const since = performance.now();
  const tensor = tensorOf(source, info, runner.Type);
  const output = await runner.run(tensor);
  return { ...maskOf(output, info, tensor), milliseconds: performance.now() - since };
}

async function timed(runner, source, info) {
  let last, seconds = Infinity;
  for (let run = 0; run < RUNS; run++) {
    last = await seen(runner, source, info);
    seconds = Math.min(seconds, last.milliseconds);
  }
  return { seconds, mask: last.mask };
}

function agreement(a, b) {
  let same = 0;
  for (let index = 0; index < a.length; index++) same += a[index] === b[index];
  return same / a.length;
}
