export default async (search, out) => {
  search.addEventListener("results", ({ detail }) => {
    const titles = detail.hits.slice(0, 3).map(({ title }) => title);
    out.textContent = `Asked for “${detail.text || "similar pictures"}”. Best: ${titles.join(", ")}.`;
  });
  search.addEventListener("error", ({ detail }) => (out.textContent = `${detail.kind}: ${detail.message}`));
  await search.show("judge.jpg");
};
