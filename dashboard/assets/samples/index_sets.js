// Sets of samples as text in an expression: written and read as fmcore/selection/groups.py does it.

const SET = "set:";
const PLAIN = 64; // characters up to which a list is not packed
const LARGEST = 64 << 20; // bytes that a text may become

/**
 * The shortest text of a set: indices and ranges, or packed.
 * @param {Uint32Array|number[]} indices ascending, each once
 */
export async function setText(indices) {
  if (!indices.length) return "not all";
  const plain = rangesOf(indices);
  if (plain.length <= PLAIN) return plain;
  const steps = base64(await through(new CompressionStream("deflate"), stepsOf(indices)));
  const bits = await through(new CompressionStream("deflate"), bitsOf(indices));
  const asBits = base64(Uint8Array.of(0, ...bits));
  return [plain, SET + steps, SET + asBits].reduce((a, b) => (b.length < a.length ? b : a));
}

/**
 * The indices of a text that `setText` has made, ascending.
 * @returns {Promise<Uint32Array>}
 */
export async function indicesOf(text) {
  if (text === "not all") return new Uint32Array(0);
  if (!text.startsWith(SET)) {
    return Uint32Array.from(text.split(",").flatMap((part) => {
      const [first, end] = part.split(":").map(Number);
      return Array.from({ length: end === undefined ? 1 : end - first }, (_, at) => first + at);
    }));
  }
  const packed = bytesOf(text.slice(SET.length));
  const isBits = packed[0] === 0;
  const bytes = await through(new DecompressionStream("deflate"), isBits ? packed.subarray(1) : packed);
  const indices = [];
  if (isBits) {
    bytes.forEach((byte, at) => {
      for (let bit = 0; bit < 8; bit += 1) if (byte & (1 << bit)) indices.push(8 * at + bit);
    });
    return Uint32Array.from(indices);
  }
  let [index, step, factor] = [-1, 0, 1];
  for (const byte of bytes) {
    step += (byte & 127) * factor;
    factor *= 128;
    if (byte > 127) continue;
    index += step + 1;
    indices.push(index);
    [step, factor] = [0, 1];
  }
  return Uint32Array.from(indices);
}

function rangesOf(indices) {
  const runs = [];
  for (let at = 0; at < indices.length; at += 1) {
    const first = indices[at];
    while (indices[at + 1] === indices[at] + 1) at += 1;
    runs.push(indices[at] === first ? `${first}` : `${first}:${indices[at] + 1}`);
  }
  return runs.join(",");
}

// Steps between indices, seven bits a byte, the highest bit set where more follow.
function stepsOf(indices) {
  const bytes = [];
  let before = -1;
  for (const index of indices) {
    let step = index - before - 1;
    before = index;
    for (; step > 127; step = Math.floor(step / 128)) bytes.push(128 | (step % 128));
    bytes.push(step);
  }
  return Uint8Array.from(bytes);
}

function bitsOf(indices) {
  const bits = new Uint8Array((indices.at(-1) >> 3) + 1);
  for (const index of indices) bits[index >> 3] |= 1 << (index & 7);
  return bits;
}

async function through(stream, bytes) {
  const writer = stream.writable.getWriter();
  writer.write(bytes).catch(() => {}); // the reader hears of it too
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > LARGEST) {
      reader.cancel();
      throw new RangeError(`the set of samples has more than ${LARGEST >> 20} MB`);
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  parts.reduce((at, part) => { all.set(part, at); return at + part.length; }, 0);
  return all;
}

const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

const bytesOf = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
