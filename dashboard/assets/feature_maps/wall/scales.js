// Scales that are loaded where one is chosen: Plotly's anchors, and what cells beside them are marked
// with; see MARKS in palette.js for what the marks have to be.
import { addScale } from "./palette.js";

addScale("gray", [
  "000000", "101010", "262626", "3b3b3b", "515050", "666565", "7c7b7a", "929291", "ababaa",
  "c5c5c3", "e0e0df", "fefefd",
], {
  above: "#e6be28", below: "#5abefa", highest: "#e6be28", lowest: "#5abefa",
  missing: "#786efa", zero: "#c8fab4", nonpositive: null,
});

addScale("magma", [
  "000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668", "feca8d",
  "fcfdbf",
], {
  above: "#5adcfa", below: "#6464e6", highest: "#5adcfa", lowest: "#6464e6",
  missing: "#6e6400", zero: "#aabeb4", nonpositive: null,
});

addScale("inferno", [
  "000004", "1b0c41", "4a0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9b06", "f7d13d",
  "fcffa4",
], {
  above: "#1414e6", below: "#9664e6", highest: "#1414e6", lowest: "#9664e6",
  missing: "#5096a0", zero: "#b4b4f0", nonpositive: null,
});

addScale("cividis", [
  "00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55",
  "fee838",
], {
  above: "#820ae6", below: "#c86edc", highest: "#820ae6", lowest: "#c86edc",
  missing: "#826432", zero: "#bed2fa", nonpositive: null,
});

addScale("brown_teal", [
  "543005", "8c510a", "bf812d", "dfc27d", "f6e8c3", "f5f5f5", "c7eae5", "80cdc1", "35978f",
  "01665e", "003c30",
], {
  above: "#8c6ef0", below: "#beaafa", highest: "#8c6ef0", lowest: "#beaafa",
  missing: "#460078", zero: null, nonpositive: null,
}, true);

// Those that are always here, from their other ends.
addScale("sequential");
addScale("diverging", null, null, true);
