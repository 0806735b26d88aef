// Tests of the dashboard's scripts, in Node alone; what needs a page says so in its first line.
// Vitest 3 and Vite 6, because the versions after them do not run on Debian 12's Node 18.
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: import.meta.dirname ?? new URL(".", import.meta.url).pathname,
  cacheDir: "node_modules/.cache",
  test: {
    include: ["*.test.js"],
    environment: "node",
    setupFiles: ["examples.js"],
    testTimeout: process.env.SOAK ? 600_000 : 5000,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
