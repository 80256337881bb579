// Lint of the page, the scripts and the tests; run from the root of the project (npm run lint).

import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/node_modules/**", "dist/**", "**/fixtures/**"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-empty": ["error", { allowEmptyCatch: true }],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  { files: ["www/**/*.js", "docs/site/**/*.js", "trainer/src/page/**/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["www/worker.js", "www/loader/*.js", "tests/browser/mock/worker.js"], languageOptions: { globals: globals.worker } },
  { files: ["www/sw.js"], languageOptions: { globals: globals.serviceworker } },
  // Tests and benchmarks hand functions to the page.
  { files: ["**/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
