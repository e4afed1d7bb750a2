// Pictures of coverage: a map of pixels, or a bar for each sample.

const LARGEST = 640;  // pixels of the drawing, before the screen's own

// The map of a stack is the outer product of its line with itself.
export function drawImage(canvas, line) {
  const side = line.length, cell = Math.max(1, Math.floor(LARGEST / side)), size = side * cell;
  const context = prepared(canvas, size, size), colors = palette(canvas), weights = shades(line);
  const image = context.createImageData(size, size);
  for (let y = 0; y < size; y++) {
    const row = weights[Math.floor(y / cell)];
    for (let x = 0; x < size; x++) {
      const column = weights[Math.floor(x / cell)], place = 4 * (y * size + x);
      const edge = cell > 3 && (x % cell === 0 || y % cell === 0);
      const color = edge ? colors.page : row && column ? mixed(colors, (row + column) / 2) : hatched(colors, x, y);
      image.data.set(color, place);
      image.data[place + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  const middle = Math.floor(side / 2) * cell;
  context.strokeStyle = css(colors.mark);
  context.lineWidth = Math.max(2, cell / 6);
  if (side > 1) context.strokeRect(middle, middle, cell, cell);
}

// A bar for each sample, earliest first, as high as the logarithm of its paths; holes are hatched to the top.
export function drawSequence(canvas, line) {
  const wide = Math.max(1, Math.floor(LARGEST / line.length)), height = 200;
  const context = prepared(canvas, wide * line.length, height), colors = palette(canvas), weights = shades(line);
  const image = context.createImageData(canvas.width, height);
  for (let x = 0; x < canvas.width; x++) {
    const weight = weights[Math.floor(x / wide)], top = height * (1 - 0.9 * weight);
    const gap = wide > 3 && x % wide === 0;
    for (let y = 0; y < height; y++) {
      const color = gap ? colors.page : weight === 0 ? hatched(colors, x, y) : y >= top ? mixed(colors, weight) : colors.page;
      image.data.set(color, 4 * (y * canvas.width + x));
      image.data[4 * (y * canvas.width + x) + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function prepared(canvas, width, height) {
  Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

// 0 for a hole, else from 0.2 (one path) to 1 (the most paths), by logarithm: counts grow beyond any scale.
function shades(line) {
  const bits = line.map((paths) => (paths === 0n ? -1 : log2(paths))), most = Math.max(...bits);
  return bits.map((value) => (value < 0 ? 0 : 0.2 + 0.8 * (most ? value / most : 1)));
}

function log2(paths) {
  const text = paths.toString(2), digits = Math.min(text.length, 50);
  return text.length - digits + Math.log2(parseInt(text.slice(0, digits), 2));
}

function palette(canvas) {
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name).trim().match(/\d+/g).map(Number);
  return { page: color("--zoo-page"), pale: color("--zoo-pale"), full: color("--zoo-full"), hole: color("--zoo-hole"), mark: color("--zoo-mark") };
}

const css = (color) => `rgb(${color.join()})`;

function mixed({ pale, full }, weight) {
  return pale.map((value, i) => Math.round(value + (full[i] - value) * weight));
}

function hatched({ page, hole }, x, y) {
  return (x + y) % 6 < 2 ? hole : page;
}
