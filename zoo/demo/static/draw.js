// Masks and legends as a person sees them.

const LEAST = 0.001; // smaller classes are counted together

// Classes that leave the picture as it is.
const isClear = (label, info) => label === info.ignore || (label === 0 && info.classes[0].label === "background");

export function paint(canvas, mask, info, { only }) {
  canvas.width = mask.width;
  canvas.height = mask.height;
  const context = canvas.getContext("2d"), image = context.createImageData(mask.width, mask.height);
  const words = new Uint32Array(image.data.buffer);
  const colors = new Uint32Array(new Uint8Array(info.classes.flatMap(({ color }, label) => [...color, !only && isClear(label, info) ? 0 : 255])).buffer);
  for (let index = 0; index < words.length; index++) words[index] = colors[mask.mask[index]] ?? 0;
  context.putImageData(image, 0, 0);
}

// Put a canvas of that shape in the middle of the stage; the place it takes.
export function place(stage, canvases, { width, height }) {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const left = Math.round((stage.clientWidth - size.width) / 2), top = Math.round((stage.clientHeight - size.height) / 2);
  for (const canvas of canvases) {
    Object.assign(canvas.style, { left: `${left}px`, top: `${top}px`, width: `${size.width}px`, height: `${size.height}px` });
  }
  return { left, top, ...size };
}

export function swatch([red, green, blue]) {
  const box = document.createElement("span");
  box.className = "swatch";
  box.style.backgroundColor = `rgb(${red}, ${green}, ${blue})`;
  return box;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

export function legend(list, shares, info) {
  const shown = shares.filter(({ share }) => share >= LEAST);
  const rest = shares.filter(({ share }) => share < LEAST).reduce((sum, { share }) => sum + share, 0);
  const rows = shown.map(({ label, share }) => row(info.classes[label], share, label));
  if (rest > 0) rows.push(row({ label: "other classes", color: [128, 128, 128] }, rest));
  list.replaceChildren(...rows);
}

function row({ label, color }, share, index) {
  const item = document.createElement("li"), name = document.createElement("span"), text = document.createElement("span");
  if (index !== undefined) item.dataset.label = index;
  name.textContent = label;
  text.textContent = percent(share);
  text.className = "share";
  item.append(swatch(color), name, text);
  return item;
}
