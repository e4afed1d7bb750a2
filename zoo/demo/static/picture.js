// Pictures from files, the clipboard and drops.

import { Sentence } from "./words.js";

const LONGEST = 2048; // side of what is kept of a picture

// The picture in a file as a canvas, turned as its EXIF orientation says and at most LONGEST wide and high.
export async function read(file) {
  const name = file.name || "The picture";
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Sentence(`${name} cannot be read as a picture: it is damaged, or in a format that this browser does not know.`);
  }
  try {
    return copied(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

export function copied(source, width, height, onto = document.createElement("canvas")) {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  onto.width = Math.max(1, Math.round(width * scale));
  onto.height = Math.max(1, Math.round(height * scale));
  const context = onto.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, onto.width, onto.height);
  context.drawImage(source, 0, 0, onto.width, onto.height);
  return onto;
}

export function pictureIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  const items = [...(transfer?.items ?? [])].map((item) => (item.kind === "file" ? item.getAsFile() : null));
  return [...files, ...items].find(Boolean) ?? null;
}
