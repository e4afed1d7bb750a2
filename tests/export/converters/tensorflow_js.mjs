// Runs a graph of TensorFlow.js: node tensorflow_js.mjs FOLDER IMAGE.f32 HEIGHT WIDTH RESULT.f32
import fs from "node:fs";
import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { loadGraphModel } from "@tensorflow/tfjs-converter";

const [folder, image, height, width, result] = process.argv.slice(2);
const bytes = (file) => {
  const content = fs.readFileSync(file);
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
};
const { modelTopology, weightsManifest, ...rest } = JSON.parse(fs.readFileSync(path.join(folder, "model.json")));
const parts = weightsManifest.flatMap((group) => group.paths).map((name) => fs.readFileSync(path.join(folder, name)));
const weights = Buffer.concat(parts);
const artifacts = {
  ...rest,
  modelTopology,
  weightSpecs: weightsManifest.flatMap((group) => group.weights),
  weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.byteLength),
};
await tf.setBackend("cpu");
const model = await loadGraphModel({ load: async () => artifacts });
const input = tf.tensor(new Float32Array(bytes(image)), [1, Number(height), Number(width), 3]);
const output = await model.executeAsync(input);
fs.writeFileSync(result, Buffer.from(new Float32Array(await output.data()).buffer));
