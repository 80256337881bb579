// Serves a built site on this machine: node scripts/serve.mjs FOLDER PORT [MODULE LOG]
// MODULE is a wasm module that the site does without for now: it is built while the site is served, and then added.

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import { serve } from "../tests/browser/lib/server.mjs";

const [folder = "dist", port = "8080", module, log = "module.log"] = process.argv.slice(2);

/** Builds `module` and adds it to the served folder. Its own process group, so that it ends with this process. */
function buildLater() {
  const output = openSync(log, "w");
  const steps = 'nice scripts/build-web "$1" && scripts/stage-site "$2"';
  const build = spawn("bash", ["-c", steps, "build", module, folder], { detached: true, stdio: ["ignore", output, output] });
  closeSync(output);
  console.log(`the ${module} module is being built; until then the page runs on the CPU  (${log})`);
  process.on("exit", () => {
    if (build.pid && build.exitCode === null && build.signalCode === null) process.kill(-build.pid, "SIGTERM");
  });
  build.on("error", (reason) => console.error(`the ${module} module could not be built: ${reason.message}`));
  build.on("exit", (code) => {
    if (code === 0) console.log(`the ${module} module is there; reload the page to use it`);
    else console.error(`the ${module} module could not be built; the page runs on the CPU. The reason is in ${log}`);
  });
}

try {
  const { address } = await serve({ mounts: [["/", resolve(folder)]], port: Number(port), host: "0.0.0.0", quality: 5 });
  console.log(`\nthisbut is at ${address}  (Ctrl-C stops it)`);
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  if (module) buildLater();
} catch (reason) {
  console.error(reason.code === "EADDRINUSE" ? `port ${port} is taken; use: scripts/serve ANOTHER_PORT` : String(reason));
  process.exit(1);
}
