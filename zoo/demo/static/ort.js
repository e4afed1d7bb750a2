// .onnx files, run by ONNX Runtime Web.

import { FOLDERS } from "./runtimes.js";
import { Sentence } from "./words.js";

if (!FOLDERS.ort) throw new Sentence("This page was made without a runtime for .onnx files: give “zoo demo” one of them.");
const FOLDER = new URL(FOLDERS.ort, import.meta.url).href;
const TYPES = { float32: Float32Array, uint8: Uint8Array };

async function runtime(gpu) {
  const ort = await import(`${FOLDER}${gpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs"}`);
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.max(1, navigator.hardwareConcurrency || 1) : 1;
  ort.env.logLevel = "error";
  return ort;
}

export async function open(bytes, info, { gpu = false } = {}) {
  const ort = await runtime(gpu);
  let session;
  try {
    session = await ort.InferenceSession.create(bytes, { executionProviders: [gpu ? "webgpu" : "wasm"] });
  } catch (error) {
    throw new Sentence(`ONNX Runtime Web cannot run this file: ${String(error?.message ?? error).slice(0, 160)}`);
  }
  const input = session.inputMetadata[0], threads = ort.env.wasm.numThreads;
  return {
    backend: gpu ? "ONNX Runtime Web, WebGPU" : `ONNX Runtime Web, WASM SIMD, ${threads} thread${threads > 1 ? "s" : ""}`,
    Type: TYPES[input.type] ?? Float32Array,
    async run({ values, shape }) {
      const results = await session.run({ [input.name]: new ort.Tensor(input.type, values, shape) });
      const output = results[session.outputNames[0]];
      const data = await output.getData();
      output.dispose();
      return data;
    },
    close: () => session.release(),
  };
}
