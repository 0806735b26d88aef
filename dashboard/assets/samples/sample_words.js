// A sample of the map in words, and the map in sentences. Knows no page.
import { general } from "../feature_maps/wall/numbers.js";

const NAMED = 12; // classes that are named in a sentence
// Nearly all is not all.
const percent = (value) => (value < 1 && value >= 0.9995 ? ">99.9%" : `${(100 * value).toFixed(1)}%`);
const counted = (value) => value.toLocaleString("en");

const columnNamed = (about, name) => about.columns.find((column) => column.name === name);
const textAt = (column, sample) => column?.texts[column.values[sample]] ?? null;

/**
 * What is known of a sample, a line each: index, label → prediction, confidence, and its value where it
 * is colored by another.
 * @param {number} sample
 * @param {{columns: object[]}} about what every sample has
 * @param {object|null} column what points are colored by
 */
export function sampleWords(sample, about, column) {
  const label = textAt(columnNamed(about, "label"), sample);
  const prediction = textAt(columnNamed(about, "prediction"), sample);
  const confidence = columnNamed(about, "confidence")?.values[sample];
  const lines = [`sample ${sample}`];
  if (label !== null && prediction !== null) {
    lines.push(`${label} → ${prediction}${label === prediction ? "" : " ✗"}`);
  } else if (label !== null) lines.push(`label ${label}`);
  else if (prediction !== null) lines.push(`predicted ${prediction}`);
  if (confidence !== undefined) lines.push(`confidence ${percent(confidence)}`);
  if (column && !about.columns.includes(column)) {
    lines.push(`${column.header}: ${general(column.values[sample])}`);
  }
  return lines;
}

/** The map in sentences, for people who do not see it. */
export function describe(about, coloring, column, group) {
  const { entries, span } = coloring;
  const named = entries.slice(0, NAMED).map(({ name, n }) => `${name} ${counted(n)}`).join(", ");
  const more = entries.length > NAMED ? `, and ${entries.length - NAMED} more` : "";
  return [
    about.words,
    column && (span ? `Colored by ${column.header}, from ${general(span.from)} to ${general(span.to)}.`
      : `Colored by ${column.header}: ${named}${more}.`),
    group.flags && `${counted(group.n)} samples are in the group; all others are faint.`,
    "Arrow keys go to the nearest sample that way, Page Up and Page Down to the one before and after, "
      + "Enter selects it.",
  ].filter(Boolean).join(" ");
}
