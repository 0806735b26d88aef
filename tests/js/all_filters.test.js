// The columns of all filters: read, sorted, searched, written.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bandWords, csvOf, decode, keysOf, matches, short, sortedRows, verdict,
} from "../../dashboard/assets/all_filters/columns.js";

/** Columns as the server writes them, by the description of the API. */
function encoded(n, columns) {
  const about = columns.map((column) => ({
    ...column,
    ...{ values: undefined, within: undefined, bounds: undefined }, // JSON leaves these out
    dtype: column.values instanceof Int32Array ? "<i4" : "<f8",
  }));
  const text = new TextEncoder().encode(JSON.stringify({ n, columns: about }));
  const parts = [new Uint8Array(Uint32Array.of(text.length).buffer), text];
  let size = 4 + text.length;
  for (const array of columns.flatMap(({ values, within, bounds }) => (
    within ? [values, within, bounds] : [values]))) {
    const gap = (8 - (size % 8)) % 8;
    parts.push(new Uint8Array(gap), new Uint8Array(array.buffer));
    size += gap + array.byteLength;
  }
  const bytes = new Uint8Array(size);
  parts.reduce((at, part) => { bytes.set(part, at); return at + part.length; }, 0);
  return bytes.buffer;
}

const COLUMNS = [
  { name: "layer", header: "Layer", tip: "", texts: ["conv10", "conv2"], values: Int32Array.of(0, 0, 1, 1) },
  { name: "filter", header: "Filter", tip: "", values: Int32Array.of(0, 1, 0, 12) },
  { name: "health", header: "Health", tip: "", texts: ["ok", "dead", "=1+1, \"x\""],
    values: Int32Array.of(0, 1, 2, 0) },
  { name: "score", header: "η²", tip: "", two_sided: false,
    values: Float64Array.of(0.1, NaN, 1 / 3, 1e-20), within: Uint8Array.of(1, 0, 0, 0),
    bounds: Float64Array.of(0, NaN, 0.1, 0, 0.2, NaN, 0.3, 1e-21) },
];

describe("columns", () => {
  test("are read bit by bit", () => {
    const { n, columns } = decode(encoded(4, COLUMNS));
    expect(n).toBe(4);
    columns.forEach((column, at) => {
      expect(column.values).toEqual(COLUMNS[at].values);
      expect(column.header).toBe(COLUMNS[at].header);
    });
    const [score] = columns.slice(-1);
    expect([...score.low, ...score.high]).toEqual([...COLUMNS[3].bounds]);
    expect(score.within).toEqual(COLUMNS[3].within);
  });

  test("sort as a stable sort of a list does, those without a value last", () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double(), fc.constant(NaN));
    fc.assert(fc.property(fc.array(value, { maxLength: 80 }), fc.boolean(), (values, isDown) => {
      const rows = values.map((_, row) => row);
      const expected = [
        ...rows.filter((row) => !Number.isNaN(values[row]))
          .sort((a, b) => (isDown ? -1 : 1) * (values[a] === values[b] ? 0 : values[a] < values[b] ? -1 : 1)),
        ...rows.filter((row) => Number.isNaN(values[row])),
      ];
      expect([...sortedRows(Float64Array.from(values), isDown)]).toEqual(expected);
    }));
  });

  test("of texts sort by the alphabet, of layers as the model has them", () => {
    expect([...sortedRows(keysOf(COLUMNS[0]), false)]).toEqual([0, 1, 2, 3]);
    const texts = { name: "best", texts: ["b", "a"], values: Int32Array.of(0, -1, 1) };
    expect([...sortedRows(keysOf(texts), false)]).toEqual([2, 0, 1]);
  });

  test.each([
    ["", [1, 1, 1, 1]], ["DEAD", [0, 1, 0, 0]], ["conv2", [0, 0, 1, 1]], ["conv2 12", [0, 0, 0, 1]],
    ["0", [1, 1, 1, 0]], ["nothing", [0, 0, 0, 0]], ["  ok conv10 ", [1, 0, 0, 0]],
  ])("are found by %j", (text, flags) => {
    expect([...matches(4, COLUMNS, text)]).toEqual(flags);
  });

  test("as CSV have all digits, quotes, no formula, and what is beside chance", () => {
    const { columns } = decode(encoded(4, COLUMNS));
    expect(csvOf(columns, [2, 0, 3, 1])).toBe([
      "Layer,Filter,Health,η²,η²'s verdict",
      `conv2,0,"'=1+1, ""x""",0.3333333333333333,above chance`,
      "conv10,0,ok,0.1,within chance",
      "conv2,12,ok,1e-20,above chance",
      "conv10,1,dead,,",
      "",
    ].join("\n"));
    const below = { within: [0], values: [-1], low: [0], high: [1] };
    expect(verdict(below, 0)).toBe("below chance");
    expect(bandWords(columns[3], 0)).toBe("up to 0.2");
    expect(bandWords({ ...columns[3], two_sided: true }, 0)).toBe("0 to 0.2");
    expect(bandWords(columns[3], 1)).toBe("");
  });

  test("show numbers of four digits", () => {
    expect([NaN, 0, 0.12345, 1234.567, 2.5e-9].map(short)).toEqual(["–", "0", "0.1235", "1,235", "2.5e-9"]);
  });
});
