// Serves www/ with the mock engine, over generated shapes or over the pictures of @lobehub/fluent-emoji-3d:
//   node tests/browser/mock/site.mjs [NODE_MODULES] [port]

import { cp, mkdir, mkdtemp, readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { COLOURS, SHAPES, shape } from "../lib/images.mjs";
import { serve } from "../lib/server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const PEOPLE = ["woman", "man", "person"];

async function emoji(modules) {
  const assets = join(modules, "@lobehub/fluent-emoji-3d/assets");
  const data = JSON.parse(await readFile(join(modules, "emojibase-data/en/data.json"), "utf8"));
  const named = new Map();
  for (const one of data.flatMap((base) => [base, ...(base.skins ?? []).map((skin) => ({ ...skin, tags: base.tags }))])) {
    named.set(one.hexcode.toLowerCase(), one);
  }
  const items = [];
  for (const file of (await readdir(assets)).sort()) {
    const one = named.get(file.replace(/\.webp$/, "")) ?? named.get(file.replace(/-fe0f|\.webp/g, ""));
    if (one) items.push({ index: items.length, id: file, title: one.label, tags: one.tags ?? [], image: `/bundle/pictures/${file}` });
  }
  const suggestions = [
    "with a different hairstyle",
    { text: "but a man", when: ["woman", "girl"] },
    { text: "but a woman", when: ["man", "boy"] },
    { text: "with darker skin", when: PEOPLE },
    { text: "with red hair", when: PEOPLE },
    { text: "as a firefighter", when: PEOPLE },
    { text: "crying", when: ["face", "cat"] },
    "in blue",
    "smaller",
    "the same, but happy",
  ];
  return { pictures: assets, setup: { items, suggestions, upload: "woman judge" } };
}

async function shapes() {
  const pictures = await mkdtemp(join(tmpdir(), "thisbut-shapes-"));
  const items = [];
  for (const name of SHAPES) {
    for (const colour of Object.keys(COLOURS)) {
      await writeFile(join(pictures, `${name}-${colour}.png`), shape(name, colour));
      // What a site owner's table says: some have a page of their own, one a link that is none.
      const links = { blue: { link: `shop/${name}?a=1`, price: "49 €" }, green: { URL: "javascript:alert(1)" } };
      const extra = links[/** @type {"blue"} */ (colour)];
      const [id, url] = [`${name}-${colour}.png`, extra?.link];
      items.push({ index: items.length, id, title: `${colour} ${name}`, tags: [], image: `/bundle/pictures/${id}`, ...(extra && { extra }), ...(url && { url }) });
    }
  }
  const suggestions = ["in blue", "in red", { text: "with corners", when: ["circle", "ring"] }, { text: "rounder", when: ["square"] }];
  return { pictures, setup: { items, suggestions, facets: [["red", 6], ["circle", 4]], upload: "red circle" } };
}

/** @param {{modules?: string, port?: number, host?: string}} options */
export async function mockSite({ modules = null, port = 0, host } = {}) {
  const { pictures, setup } = await (modules ? emoji(modules) : shapes());
  const folder = await mkdtemp(join(tmpdir(), "thisbut-mock-"));
  await writeFile(join(folder, "items.json"), JSON.stringify(setup));
  return serve({
    port,
    host,
    mounts: [
      ["/worker.js", join(here, "worker.js")],
      ["/bundle/pictures/", pictures],
      ["/bundle/", folder],
      ["/", join(here, "../../../www")],
    ],
  });
}

/**
 * The site with the mock engine as a folder, for a place below `base`.
 * @param {string} folder @param {string} base
 */
export async function mockFolder(folder, base) {
  const { pictures, setup } = await shapes();
  await cp(join(here, "../../../www"), folder, { recursive: true });
  await cp(join(here, "worker.js"), join(folder, "worker.js"));
  await mkdir(join(folder, "bundle"), { recursive: true });
  await cp(pictures, join(folder, "bundle/pictures"), { recursive: true });
  const items = setup.items.map((item) => ({ ...item, image: item.image.replace(/^\//, base) }));
  await writeFile(join(folder, "bundle/items.json"), JSON.stringify({ ...setup, items }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const site = await mockSite({ modules: process.argv[2], port: Number(process.argv[3]) || 8081, host: "0.0.0.0" });
  console.log(site.address);
}
