// Serves a built site on this machine: node scripts/serve.mjs FOLDER PORT

import { resolve } from "node:path";
import { serve } from "../tests/browser/lib/server.mjs";

const [folder = "dist", port = "8080"] = process.argv.slice(2);
try {
  const { address } = await serve({ mounts: [["/", resolve(folder)]], port: Number(port), host: "0.0.0.0", quality: 5 });
  console.log(`\nthisbut is at ${address}  (Ctrl-C stops it)`);
} catch (reason) {
  console.error(reason.code === "EADDRINUSE" ? `port ${port} is taken; use: scripts/serve ANOTHER_PORT` : String(reason));
  process.exit(1);
}
