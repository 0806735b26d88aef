// Files that a page makes, for people to keep.

const KEPT = 60_000; // ms that a blob stays, since a browser may ask where to save it

/**
 * Has the browser save a file.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const href = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT);
}
