// What is in the documentation site, in reading order. Every document under docs/ has a place here; one that has none fails the
// build. `from` is a file of the repository, `page` one of this folder, `route` its address without ".html".

/** @typedef {{route: string, title: string, from?: string, page?: string}} Entry */
/** @typedef {{title: string, entries: Entry[]}} Section */

const guide = (/** @type {string} */ name, /** @type {string} */ title) => ({ route: `guides/${name}`, title, from: `docs/guides/${name}.md` });
const reference = (/** @type {string} */ name, /** @type {string} */ title) => ({ route: `reference/${name}`, title, from: `docs/reference/${name}.md` });
const note = (/** @type {string} */ name, /** @type {string} */ title) => ({ route: `notes/${name}`, title, from: `docs/notes/${name}.md` });

/** @type {Entry} */
export const home = { route: "index", title: "thisbut", page: "index.md" };

/** @type {Section[]} */
export const sections = [
  {
    title: "Quick start",
    entries: [guide("for-visitors", "For visitors"), guide("for-site-owners", "For site owners"), guide("for-researchers", "For researchers")],
  },
  {
    title: "Guides",
    entries: [
      guide("first-start", "First start"),
      guide("photographs", "Your photographs"),
      guide("index-and-embed", "Index and embed"),
      guide("hosting", "Hosting"),
      guide("your-data", "Train on your data"),
      guide("clothing", "Photographs of clothes"),
      guide("groceries", "Photographs of groceries"),
      guide("fashion-blip2", "FashionBLIP-2 on a catalogue"),
      guide("small-model", "A small model on a CPU"),
      guide("benchmarks", "CIRR and FashionIQ"),
      guide("context-cir", "ConText-CIR"),
      guide("unlabelled-images", "Unlabelled images"),
      guide("text-generator", "Text generator"),
    ],
  },
  {
    title: "The element",
    entries: [
      { route: "element/examples", title: "Live examples", page: "examples.md" },
      { route: "element/themes", title: "Themes", page: "themes.md" },
      { route: "element/reference", title: "Reference", from: "www/custom-elements.json" },
      { route: "element/behaviour", title: "Behaviour and policy", from: "www/README.md" },
      { route: "element/package", title: "npm package", from: "www/package/README.md" },
      { route: "element/sizes", title: "What a visitor loads", page: "sizes.md" },
      { route: "element/errors", title: "Troubleshooting", from: "docs/reference/errors.md" },
    ],
  },
  {
    title: "Reference",
    entries: [
      { route: "reference/index", title: "Overview", from: "docs/reference/README.md" },
      reference("glossary", "Glossary"),
      reference("commands", "Commands and options"),
      reference("configuration", "Configuration"),
      reference("datasets", "Data sets"),
      reference("catalogues", "Catalogues"),
      reference("training", "Training settings"),
      reference("formats", "Bundle format"),
      reference("checkpoints", "Checkpoints of others"),
      reference("generator", "Text generator"),
      reference("synthetic-triplets", "Synthetic triplets"),
      reference("papers", "The papers"),
      reference("papers-data", "Papers and data"),
    ],
  },
  {
    title: "Laboratory notes",
    entries: [
      { route: "notes/index", title: "Overview", from: "docs/notes/README.md" },
      note("shipped-model", "The shipped model"),
      note("training-on-a-cpu", "Training on a CPU"),
      note("losses-and-pretraining", "Losses and pretraining"),
      note("hycir", "HyCIR"),
      note("noun-phrases", "Noun phrases"),
      note("text-generator", "Text generator"),
      note("synthetic-triplets", "Synthetic triplets"),
      note("large-models", "Large models"),
      note("photographs-in-the-browser", "Photographs in the browser"),
      note("imagenet-in-words", "ImageNet in words"),
      note("near-duplicates", "Near-duplicates"),
      note("speed", "Speed"),
    ],
  },
  {
    title: "Project",
    entries: [
      { route: "project/changelog", title: "Changelog", from: "CHANGELOG.md" },
      { route: "project/architecture", title: "Architecture", from: "ARCHITECTURE.md" },
      { route: "project/contributing", title: "Contributing", from: "CONTRIBUTING.md" },
      { route: "project/security", title: "Security", from: "SECURITY.md" },
      { route: "project/notices", title: "Notices", from: "NOTICES.md" },
    ],
  },
];

/** @returns {Entry[]} */
export const entries = () => [home, ...sections.flatMap((section) => section.entries)];
