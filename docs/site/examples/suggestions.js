export default async (search) => {
  search.suggestions = ["with red hair", "as a firefighter", "smiling"];
  await search.show("judge.jpg");
};
