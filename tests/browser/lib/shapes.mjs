// Writes the shapes as PNG files: node tests/browser/lib/shapes.mjs FOLDER

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COLOURS, SHAPES, shape } from "./images.mjs";

const [folder] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
for (const name of SHAPES) {
  for (const colour of Object.keys(COLOURS)) await writeFile(join(folder, `${name}-${colour}.png`), shape(name, colour));
}
