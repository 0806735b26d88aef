// Names of the files that people take home, by the rule of dashboard/file_names.py.
const LONGEST = 60; // letters of a part

/**
 * The name of a file that is of some things, such as `mnist-conv1-sample3-filter5`.
 * @param {...string} parts the store first, then what narrows it; empty ones are left out
 */
export function fileName(...parts) {
  const safe = (part) => part.replace(/[^\p{L}\p{N}_.]+/gu, "_").slice(0, LONGEST)
    .replace(/^[._]+|[._]+$/g, "");
  return parts.map(safe).filter(Boolean).join("-");
}
