// The element's reference, from its manifest (www/custom-elements.json).

/** A text as a table's cell. @param {string | undefined} text */
const cell = (text) => (text ?? "").replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");
/** Code in a cell: a bar would end it. @param {string} text */
const code = (text) => (text ? `\`${text.replaceAll("|", "\\|")}\`` : "");

/** @param {string[]} head @param {string[][]} rows */
const table = (head, rows) => [`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");

/** @param {any} manifest */
export function declaration(manifest) {
  const found = manifest.modules.flatMap((/** @type {any} */ one) => one.declarations ?? []).find((/** @type {any} */ one) => one.tagName === "this-but");
  if (!found) throw new Error("www/custom-elements.json: describes no <this-but>; add its declaration");
  return found;
}

/** @param {any} method */
function signature({ name, parameters = [], return: back, static: fixed }) {
  const list = parameters.map((/** @type {any} */ one) => `${one.name}${one.optional ? "?" : ""}: ${one.type.text}`).join(", ");
  return `${fixed ? "ThisBut." : ""}${name}(${list}): ${back?.type.text ?? "void"}`;
}

/** @param {any} element */
function methods(element) {
  const all = element.members.filter((/** @type {any} */ one) => one.kind === "method");
  return all.map((/** @type {any} */ one) => `### \`${one.static ? "ThisBut." : ""}${one.name}\`\n\n\`\`\`ts\n${signature(one)}\n\`\`\`\n\n${cell(one.description)}\n`).join("\n");
}

/** @param {any} event */
function event({ name, type, description }) {
  const detail = /^CustomEvent<(.*)>$/s.exec(type.text)?.[1] ?? type.text;
  return [code(name), code(detail), cell(description)];
}

/** The page, as Markdown, with links as a document beside the manifest has them. @param {any} manifest */
export function elementPage(manifest) {
  const element = declaration(manifest);
  const fields = element.members.filter((/** @type {any} */ one) => one.kind === "field");
  const named = (/** @type {any[]} */ list) => list.map(({ name, description }) => [code(name), cell(description)]);
  return `# Reference of \`<this-but>\`

${cell(element.description)}

Made from \`custom-elements.json\`, which editors read too. How the parts behave together:
[behaviour and policy](README.md). See them at work: [live examples](../docs/site/pages/examples.md),
[themes](../docs/site/pages/themes.md).

## Attributes

${table(["attribute", "type", "meaning"], element.attributes.map((/** @type {any} */ one) => [code(one.name), code(one.type.text), cell(one.description)]))}

## Properties

${table(["property", "type", "meaning"], fields.map((/** @type {any} */ one) => [code(one.name), code(one.type.text), `${cell(one.description)}${one.readonly ? " Read only." : ""}`]))}

## Methods

${methods(element)}
## Events

${table(["event", "detail", "when"], element.events.map(event))}

## Custom properties

${table(["property", "what it paints"], named(element.cssProperties))}

## Parts

Style one with \`this-but::part(NAME)\`.

${table(["part", "what it is"], named(element.cssParts))}
${element.slots?.length ? `\n## Slots\n\n${table(["slot", "what it holds"], named(element.slots))}\n` : ""}`;
}
