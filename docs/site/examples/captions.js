export default async (search) => {
  search.renderItem = (item, { rank }) => {
    const caption = document.createElement("span");
    caption.textContent = `${rank + 1}. ${item.title}`;
    return caption;
  };
  await search.show("judge.jpg");
};
