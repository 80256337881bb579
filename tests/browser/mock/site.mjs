// Serves www/ with the mock worker and the emoji pictures of an installed @lobehub/fluent-emoji-3d:
//   node tests/browser/mock/site.mjs NODE_MODULES [port]

import { mkdtemp, readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../lib/server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

export async function mockSite(modules, port = 0) {
  const assets = join(modules, "@lobehub/fluent-emoji-3d/assets");
  const data = JSON.parse(await readFile(join(modules, "emojibase-data/en/data.json"), "utf8"));
  const named = new Map();
  for (const emoji of data.flatMap((one) => [{ ...one }, ...(one.skins ?? []).map((skin) => ({ ...skin, tags: one.tags }))])) {
    named.set(emoji.hexcode.toLowerCase(), emoji);
  }
  const items = [];
  for (const file of (await readdir(assets)).sort()) {
    const emoji = named.get(file.replace(/\.webp$/, "")) ?? named.get(file.replace(/-fe0f|\.webp/g, ""));
    if (emoji) items.push({ index: items.length, title: emoji.label, tags: emoji.tags ?? [], image: `/bundle/pictures/${file}` });
  }
  const folder = await mkdtemp(join(tmpdir(), "thisbut-mock-"));
  await writeFile(join(folder, "items.json"), JSON.stringify(items));
  return serve({
    port,
    host: "0.0.0.0",
    mounts: [
      ["/worker.js", join(here, "worker.js")],
      ["/bundle/pictures/", assets],
      ["/bundle/", folder],
      ["/", join(here, "../../../www")],
    ],
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const site = await mockSite(process.argv[2], Number(process.argv[3]) || 8081);
  console.log(site.address);
}
