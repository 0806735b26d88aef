// Typed columns, such as those of all filters: read, sorted, searched, written as CSV. Knows no page.

const ALIGNED = 8;
const KINDS = { "<i4": Int32Array, "<f4": Float32Array, "<f8": Float64Array, "|u1": Uint8Array };
// A spreadsheet takes text that begins with one of these for a formula (OWASP, "CSV Injection").
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/**
 * The columns of an answer of `/filters`, `/points` or `/samplecolumns`; the API's description says how
 * they lie in it.
 * @param {ArrayBuffer} buffer its bytes
 * @returns {{n: number, columns: object[]}} what the answer says; each column with `values`, and
 *   where it has a chance level `within`, `low` and `high`
 */
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const { n } = head;
  let place = 4 + length;
  const array = (Kind, size) => {
    place = Math.ceil(place / ALIGNED) * ALIGNED;
    const values = new Kind(buffer, place, size);
    place += values.byteLength;
    return values;
  };
  return {
    ...head,
    columns: head.columns.map((column) => {
      const values = array(KINDS[column.dtype], n);
      if (!("two_sided" in column)) return { ...column, values };
      const within = array(Uint8Array, n);
      const bounds = array(Float64Array, 2 * n);
      return { ...column, values, within, low: bounds.subarray(0, n), high: bounds.subarray(n) };
    }),
  };
}

/**
 * What a column is sorted by: a number for each row, NaN for none. Layers stay in the model's order,
 * other texts are in that of the alphabet.
 */
export function keysOf({ name, values, texts }) {
  if (!texts || name === "layer") return values;
  const places = texts.map((_, at) => at).sort((a, b) => texts[a].localeCompare(texts[b], "en"));
  const ranks = new Float64Array(texts.length);
  places.forEach((at, rank) => { ranks[at] = rank; });
  return Float64Array.from(values, (at) => (at < 0 ? NaN : ranks[at]));
}

/** The rows in the order of their keys; equals stay as they are, those without come last. */
export function sortedRows(keys, isDescending) {
  const rows = Uint32Array.from(keys, (_, row) => row);
  const has = rows.filter((row) => keys[row] === keys[row]);
  const without = rows.filter((row) => keys[row] !== keys[row]);
  has.sort(isDescending ? (a, b) => keys[b] - keys[a] : (a, b) => keys[a] - keys[b]);
  rows.set(has);
  rows.set(without, has.length);
  return rows;
}

/**
 * Which rows a text finds: each of its words is in a text of the row, or is its filter's number.
 * @param {number} n rows
 * @param {object[]} columns
 * @param {string} text
 * @returns {Uint8Array} 1 where a row matches
 */
export function matches(n, columns, text) {
  const flags = new Uint8Array(n).fill(1);
  for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const number = /^\d+$/.test(word) ? Number(word) : -1;
    const has = columns.filter(({ texts }) => texts).map(({ texts, values }) => (
      { values, hits: texts.map((part) => part.toLowerCase().includes(word)) }));
    const filter = columns.find(({ name }) => name === "filter")?.values;
    for (let row = 0; row < n; row += 1) {
      flags[row] &&= Number(filter?.[row] === number
        || has.some(({ values, hits }) => hits[values[row]]));
    }
  }
  return flags;
}

/** A value beside chance in words, as dashboard/chance.py has them. */
export function verdict({ values, within, low, high }, row) {
  if (within[row]) return "within chance";
  if (!(low[row] <= high[row])) return "";
  return values[row] > high[row] ? "above chance" : values[row] < low[row] ? "below chance" : "";
}

/** Rows as CSV: numbers with all their digits, and what they are beside chance. */
export function csvOf(columns, rows) {
  const cell = (text) => {
    const safe = FORMULA.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const heads = columns.flatMap(({ header, within }) => (
    within ? [header, `${header}'s verdict`] : [header]));
  const lines = [heads.map(cell).join(",")];
  for (const row of rows) {
    const cells = [];
    for (const column of columns) {
      const value = column.values[row];
      if (column.texts) cells.push(cell(column.texts[value] ?? ""));
      else cells.push(Number.isFinite(value) ? String(value) : "");
      if (column.within) cells.push(verdict(column, row));
    }
    lines.push(cells.join(","));
  }
  return `${lines.join("\n")}\n`;
}

/** A number of four digits, as the tables of filters have it; a dash for none. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (!size || (size >= 1e-3 && size < 1e6)) {
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
  }
  const [digits, exponent] = value.toExponential(3).split("e");
  return `${Number(digits)}e${Number(exponent)}`;
}

/** The chance level of a value in words: of a statistic that only a large value of says something
 * without its low end. */
export function bandWords({ two_sided: isTwoSided, low, high }, row) {
  if (!(low[row] <= high[row])) return "";
  return isTwoSided ? `${short(low[row])} to ${short(high[row])}` : `up to ${short(high[row])}`;
}
