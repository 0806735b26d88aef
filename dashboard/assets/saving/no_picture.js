/** Why there is no picture, in words for people. */
export class NoPicture extends Error {}

const LONGEST = 16_384; // pixels of a side that every browser's canvas takes

/**
 * An empty canvas for a picture.
 * @throws {NoPicture} if no browser has one that large
 */
export function canvasOf(width, height) {
  refuseLarge(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** @throws {NoPicture} if a picture has more pixels than browsers draw */
export function refuseLarge(width, height) {
  if (Math.max(width, height) <= LONGEST) return;
  throw new NoPicture(`The picture would be ${Math.round(width)} × ${Math.round(height)} pixels, more `
    + "than a browser draws: choose a smaller scale, or SVG.");
}

/** The canvas as a file. */
export async function pngOf(canvas) {
  const blob = await new Promise((give) => { canvas.toBlob(give, "image/png"); });
  if (!blob) throw new NoPicture("The browser has no room for the picture: choose a smaller scale.");
  return blob;
}
