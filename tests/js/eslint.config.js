// Lint of the dashboard's scripts. ESLint 9, because ESLint 10 does not run on Debian 12's Node 18.
import js from "@eslint/js";
import globals from "globals";

const strict = {
  "array-callback-return": "error",
  "default-case-last": "error",
  eqeqeq: "error",
  "max-len": ["error", { code: 110 }], // new lines: 100, as in Python
  "no-array-constructor": "error",
  "no-console": "error",
  "no-else-return": "error",
  "no-implicit-coercion": "error",
  "no-implicit-globals": "error",
  "no-lonely-if": "error",
  "no-param-reassign": "error",
  "no-self-compare": "off", // NaN alone differs from itself: the quickest test of a hot loop
  "no-throw-literal": "error",
  "no-undef-init": "error",
  "no-unmodified-loop-condition": "error",
  "no-unneeded-ternary": "error",
  "no-unused-expressions": "error",
  "no-use-before-define": ["error", { functions: false, classes: true, variables: false }],
  "no-useless-concat": "error",
  "no-useless-rename": "error",
  "no-useless-return": "error",
  "no-unused-private-class-members": "off", // takes `this.#frame ||= …` for no use
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": ["error", { destructuring: "all" }],
  "prefer-template": "off", // long words break over lines with +
  radix: "error",
  yoda: "error",
};

// "https://host", "//host" and "/path", but not a slash alone.
const ADDRESS = "/^([a-z]+:)?\\u002F\\u002F|^\\u002F\\w/i";

// What the page's security policy refuses, or what would let a name from a store run.
const careful = {
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-script-url": "error",
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => (
      { property, message: "Names from a store are text: use textContent or append." })),
    { object: "document", property: "write", message: "Use append." },
  ],
  "no-restricted-syntax": [
    "error",
    {
      selector: `:matches(Literal[value=${ADDRESS}],`
        + ` TemplateLiteral > TemplateElement:first-child[value.raw=${ADDRESS}])`,
      message: "Addresses are relative: the dashboard works behind a prefix, and asks nobody else.",
    },
    { selector: "DebuggerStatement", message: "Left over." },
  ],
};

export default [
  { ignores: ["**/node_modules/**"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { ecmaVersion: 2022 },
    rules: strict,
  },
  {
    files: ["dashboard/assets/**/*.js"],
    rules: careful,
  },
  {
    // Dash loads these with <script>; they may import() modules, but are none.
    files: ["dashboard/assets/*.js"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: { strict: "off" },
  },
  {
    files: ["dashboard/assets/*/**/*.js"],
    languageOptions: { sourceType: "module", globals: globals.browser },
  },
  {
    // These know no page: the language alone, and what it does for lists and numbers.
    files: ["samples", "wall/numbers", "wall/palette", "wall/tiling"]
      .map((name) => `dashboard/assets/feature_maps/${name}.js`),
    languageOptions: { sourceType: "module", globals: off(globals.browser) },
  },
  {
    files: ["tests/js/**/*.js"],
    languageOptions: { sourceType: "module", globals: globals.node },
  },
  {
    // In a page of happy-dom's.
    files: ["filter_steps", "selection", "session", "stale"].map((name) => `tests/js/${name}.test.js`),
    languageOptions: { globals: globals.browser },
  },
];

function off(names) {
  return Object.fromEntries(Object.keys(names).map((name) => [name, "off"]));
}
