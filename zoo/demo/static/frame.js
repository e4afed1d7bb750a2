// From a picture or a frame of the camera to the tensor that a model takes, and from its output to a mask.

const LONGEST = 640; // side of the picture for models that take any size

let canvas = null;

function pixelsOf(source, width, height) {
  canvas ??= document.createElement("canvas");
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // what is transparent is white
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

// The part of the model's input that a picture of that size covers: as large as fits, its shape kept.
export function fitted(source, size) {
  const most = size ?? { width: LONGEST, height: LONGEST };
  let scale = Math.min(most.width / source.width, most.height / source.height);
  if (!size) scale = Math.min(scale, 1);
  const side = (length, limit) => Math.max(1, Math.min(limit, Math.round(length * scale)));
  return { width: side(source.width, most.width), height: side(source.height, most.height) };
}

const mirrored = (index, length) => {
  const place = index % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
};

// Values 0…255 in the type and the layout of the model; beyond the picture its mirror image.
export function tensorOf(source, info, Type) {
  const part = fitted(source, info.size);
  const { width, height } = info.size ?? part;
  const pixels = pixelsOf(source, part.width, part.height);
  const values = new Type(3 * width * height);
  const first = info.layout === "nchw";
  const step = first ? 1 : 3, apart = first ? width * height : 1;
  for (let y = 0; y < height; y++) {
    const row = mirrored(y, part.height) * part.width;
    for (let x = 0; x < width; x++) {
      const from = 4 * (row + mirrored(x, part.width)), to = step * (y * width + x);
      values[to] = pixels[from];
      values[to + apart] = pixels[from + 1];
      values[to + 2 * apart] = pixels[from + 2];
    }
  }
  return { values, shape: first ? [1, 3, height, width] : [1, height, width, 3], width, height, part };
}

// Class of every pixel of the picture's part of the output.
export function maskOf(output, info, { width, height, part }) {
  const count = info.classes.length, plane = width * height;
  const mask = new (count <= 256 ? Uint8Array : Uint16Array)(part.width * part.height);
  const scored = info.head === "logits", first = info.layout === "nchw";
  const step = first ? 1 : count, apart = first ? plane : 1;
  for (let y = 0, to = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++, to++) {
      const pixel = y * width + x;
      if (!scored) {
        mask[to] = Number(output[pixel]);
        continue;
      }
      let place = pixel * step, best = output[place], winner = 0;
      for (let label = 1; label < count; label++) {
        place += apart;
        if (output[place] > best) {
          best = output[place];
          winner = label;
        }
      }
      mask[to] = winner;
    }
  }
  return { mask, width: part.width, height: part.height };
}

export function sharesOf({ mask }, info) {
  const counts = new Array(info.classes.length).fill(0);
  let total = 0;
  for (const label of mask) {
    if (label === info.ignore || label >= counts.length) continue;
    counts[label]++;
    total++;
  }
  return counts
    .map((count, label) => ({ label, share: count / total }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || a.label - b.label);
}
