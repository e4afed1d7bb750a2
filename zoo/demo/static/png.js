// Masks as palette PNG files: the value of a pixel is the index of its class.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

function chunk(kind, content) {
  const bytes = new Uint8Array(12 + content.length), view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(content, 8);
  view.setUint32(8 + content.length, checksum(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The mask enlarged to a width and height, the class of the nearest pixel each; 16-bit grey beyond 256 classes.
export async function maskFile(mask, classes, width, height) {
  const wide = classes.length > 256, size = wide ? 2 : 1;
  const rows = new Uint8Array(height * (1 + size * width));
  for (let y = 0, to = 0; y < height; y++) {
    rows[to++] = 0; // no filter
    const row = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++) {
      const label = mask.mask[row + Math.floor(((x + 0.5) * mask.width) / width)];
      if (wide) rows[to++] = label >> 8;
      rows[to++] = label & 255;
    }
  }
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8 * size, wide ? 0 : 3, 0, 0, 0], 8);
  const palette = wide ? [] : [chunk("PLTE", Uint8Array.from(classes.flatMap(({ color }) => color)))];
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", head), ...palette, chunk("IDAT", await deflated(rows)), chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}
