// Names of files by the rule of dashboard/file_names.py.
import { expect, test } from "vitest";
import { fileName } from "../../dashboard/assets/feature_maps/file_name.js";

// tests/dashboard/test_file_names.py has the same.
const NAMES = [
  [["mnist", "conv1", "sample3", "filter5"], "mnist-conv1-sample3-filter5"],
  [["team:second one", "block/conv 1", ""], "team_second_one-block_conv_1"],
  [["../..", 'a"b\r\nc', "CON:|?*"], "a_b_c-CON"],
  [["größe", "层"], "größe-层"],
  [["x".repeat(99)], "x".repeat(60)],
];

test.each(NAMES)("of %j is %s", (parts, name) => {
  expect(fileName(...parts)).toBe(name);
});
