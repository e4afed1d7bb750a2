// Segments one image with ONNX Runtime Web (WebAssembly) and writes the mask.
//
//   node segment.mjs MODEL.onnx IMAGE MASK
//
// IMAGE holds the raw input tensor in the shape and type that the model declares; MASK gets a byte for each
// pixel, the class with the largest logit.

import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const TYPES = { float32: Float32Array, uint8: Uint8Array };

const [modelPath, imagePath, maskPath] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(modelPath), { executionProviders: ["wasm"] });

const { name, type, shape } = session.inputMetadata[0];
const bytes = readFileSync(imagePath);
const data = new TYPES[type](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
const { logits } = await session.run({ [name]: new ort.Tensor(type, data, shape) });

const [, classes, height, width] = logits.dims;
const pixels = height * width;
const mask = new Uint8Array(pixels);
for (let pixel = 0; pixel < pixels; pixel++) {
  for (let label = 1; label < classes; label++) {
    if (logits.data[label * pixels + pixel] > logits.data[mask[pixel] * pixels + pixel]) mask[pixel] = label;
  }
}
writeFileSync(maskPath, mask);
