// What a model file says of itself: the zoo's metadata in a .tflite or .onnx file.

import { Sentence } from "./words.js";

const KEY = "atrous_zoo";
const HEADS = ["logits", "mask", "small_mask"];
const text = new TextDecoder();

// The description of a file; a Sentence for one that is damaged or that the zoo did not write.
export function describe(bytes, name) {
  let format, found;
  try {
    const isLite = bytes.length > 8 && text.decode(bytes.subarray(4, 8)) === "TFL3";
    format = isLite ? "tflite" : "onnx";
    found = isLite ? ofTFLite(bytes) : ofONNX(bytes);
  } catch (error) {
    throw new Sentence(`${name} cannot be read: it is damaged, or neither a .tflite nor an .onnx file.`);
  }
  if (found === null) throw new Sentence(`${name} was not exported by the zoo: it carries no names of classes. Export it with “zoo export”.`);
  const content = checked(found, name);
  const labels = content.label_set;
  return {
    format,
    name: content.model,
    head: content.head,
    layout: content.layout,
    size: content.input_size && { height: content.input_size[0], width: content.input_size[1] },
    ignore: labels.ignore_label,
    classes: labels.names.map((label, index) => ({ label, color: labels.palette[index] })),
    kind: content.quantization?.kind ?? "float32",
  };
}

function checked(found, name) {
  let content;
  try { content = JSON.parse(found); } catch { throw new Sentence(`${name} has damaged metadata.`); }
  const { names, palette } = content.label_set ?? {};
  const size = content.input_size;
  const isSize = size === null || (Array.isArray(size) && size.length === 2 && size.every((n) => Number.isInteger(n) && n > 0));
  const isColor = (color) => Array.isArray(color) && color.length === 3 && color.every((n) => Number.isInteger(n) && n >= 0 && n < 256);
  const hasLabels = Array.isArray(names) && names.length > 0 && Array.isArray(palette) && palette.length === names.length
    && names.every((label) => typeof label === "string") && palette.every(isColor);
  if (content.schema !== 1 || !hasLabels || !isSize || !["nhwc", "nchw"].includes(content.layout)) {
    throw new Sentence(`${name} has damaged metadata, or that of another version of the zoo.`);
  }
  if (!HEADS.includes(content.head)) {
    throw new Sentence(`${name} gives “${content.head}”, smaller than the picture. Export it with “--head logits” or “--head mask”.`);
  }
  return content;
}

// --- flatbuffers: tables refer to a list of the places of their fields ---------------------------------------

function ofTFLite(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = (place) => place + view.getUint32(place, true);
  const field = (table, slot) => {
    const places = table - view.getInt32(table, true);
    const entry = 4 + 2 * slot;
    const offset = entry < view.getUint16(places, true) ? view.getUint16(places + entry, true) : 0;
    return offset ? table + offset : 0;
  };
  const vector = (table, slot) => {
    const place = field(table, slot);
    if (!place) return { start: 0, length: 0 };
    const start = at(place);
    return { start: start + 4, length: view.getUint32(start, true) };
  };
  const slice = ({ start, length }) => {
    if (start + length > bytes.length) throw new RangeError("beyond the end");
    return text.decode(bytes.subarray(start, start + length));
  };
  const model = at(0), entries = vector(model, 6), buffers = vector(model, 4);
  for (let index = 0; index < entries.length; index++) {
    const entry = at(entries.start + 4 * index);
    if (slice(vector(entry, 0)) !== KEY) continue;
    const place = field(entry, 1);
    const number = place ? view.getUint32(place, true) : 0;
    if (number >= buffers.length) throw new RangeError("no such buffer");
    return slice(vector(at(buffers.start + 4 * number), 0));
  }
  return null;
}

// --- protocol buffers: fields one after the other, each with its number and kind -----------------------------

const PROPERTIES = 14;

function* fields(bytes) {
  let place = 0;
  const number = () => {
    let value = 0, factor = 1;
    for (let count = 0; count < 10; count++) {
      if (place >= bytes.length) throw new RangeError("beyond the end");
      const byte = bytes[place++];
      value += (byte & 127) * factor;
      factor *= 128;
      if (byte < 128) return value;
    }
    throw new RangeError("no number");
  };
  while (place < bytes.length) {
    const key = number(), kind = key % 8;
    if (kind === 0) number();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else if (kind === 2) {
      const length = number();
      if (place + length > bytes.length) throw new RangeError("beyond the end");
      yield [Math.floor(key / 8), bytes.subarray(place, place + length)];
      place += length;
    } else throw new RangeError("no such kind");
  }
}

function ofONNX(bytes) {
  let isModel = false, found = null;
  for (const [number, content] of fields(bytes)) {
    isModel ||= number === 7; // the graph
    if (number !== PROPERTIES) continue;
    const entry = Object.fromEntries(fields(content));
    if (entry[1] && text.decode(entry[1]) === KEY) found = text.decode(entry[2]);
  }
  if (!isModel) throw new RangeError("no graph");
  return found;
}
