// A law is tried on this many examples: in CI always the same, so that a run that passed passes
// again, and in the soak on far more, others each time.
import fc from "fast-check";

const { CI, SOAK } = process.env;
if (SOAK) fc.configureGlobal({ numRuns: 5000 });
else if (CI) fc.configureGlobal({ seed: 20 });
