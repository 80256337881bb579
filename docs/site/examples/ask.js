export default async (search) => {
  await search.show("judge.jpg");
  await search.search("a man");
};
