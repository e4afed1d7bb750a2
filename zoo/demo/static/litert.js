// .tflite files, run by LiteRT.js.

import { FOLDERS } from "./runtimes.js";
import { Sentence } from "./words.js";

if (!FOLDERS.litert) throw new Sentence("This page was made without a runtime for .tflite files: give “zoo demo” one of them.");
const FOLDER = new URL(FOLDERS.litert, import.meta.url).href;
const TYPES = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array };

let loading = null, threads = 1;

async function runtime() {
  loading ??= (async () => {
    const lite = await import(`${FOLDER}index.js`);
    const several = self.crossOriginIsolated && (await supported(lite, "relaxedSimd"));
    const file = several ? "litert_wasm_threaded_internal.js" : "litert_wasm_compat_internal.js";
    self.Module = { printErr: heard };
    await lite.loadLiteRt(FOLDER + file);
    threads = several ? Math.max(1, navigator.hardwareConcurrency || 1) : 1;
    return lite;
  })();
  try {
    return await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
}

// LiteRT tells its progress where other programs tell errors.
function heard(line) {
  if (/^(INFO|WARNING|VERBOSE)\b/.test(line)) console.debug(line);
  else console.error(line);
}

async function supported(lite, feature) {
  try { return await lite.supportsFeature(feature); } catch { return false; }
}

export async function open(bytes, info, { gpu = false } = {}) {
  const lite = await runtime();
  let model;
  try {
    model = await lite.loadAndCompile(bytes, { accelerator: gpu ? "webgpu" : "wasm" });
  } catch (error) {
    throw new Sentence(`LiteRT.js cannot run this file: ${String(error?.message ?? error).slice(0, 160)}`);
  }
  if (gpu && !model.isFullyAccelerated) {
    model.delete();
    throw new Sentence("Not all of the model runs on WebGPU.");
  }
  const input = model.getInputDetails()[0];
  return {
    backend: gpu ? "LiteRT.js, WebGPU" : `LiteRT.js, WASM SIMD, ${threads} thread${threads > 1 ? "s" : ""}`,
    Type: TYPES[input.dtype] ?? Float32Array,
    async run({ values, shape }) {
      const tensor = new lite.Tensor(values, shape);
      let outputs = [];
      try {
        outputs = await model.run([tensor]);
        return (await outputs[0].data()).slice();
      } finally {
        tensor.delete();
        outputs.forEach((output) => output.delete());
      }
    },
    close: () => model.delete(),
  };
}
