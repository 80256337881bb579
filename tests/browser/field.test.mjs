// The element as a field of a form: what it sends, what it requires, disabled, reset, and back in the history. Over the mock
// engine.

import assert from "node:assert/strict";
import { clean } from "./lib/axe.mjs";
import { shape } from "./lib/images.mjs";
import { answer, focused, give, ready, say } from "./lib/page.mjs";
import { suite } from "./lib/suite.mjs";

const { on, here } = suite();

/** A page with a form around the element. */
async function form(page, attributes = 'name="likes"') {
  const html = `<!doctype html><html lang="en"><title>Form</title><link rel="icon" href="favicon.svg"><main><h1>Form</h1><form action="form.html" method="get"><fieldset><legend>What do you like?</legend>
    <label for="like">A picture</label><this-but id="like" ${attributes}></this-but><input name="other" aria-label="Other" value="x"><button>Send</button><button type="reset">Reset</button></fieldset></form></main>
    <script type="module" src="this-but.js"></script></html>`;
  here.site.state.fault = (path) => (path === "/form.html" ? Buffer.from(html) : undefined);
  await page.goto(`${here.site.address}form.html`);
  await ready(page);
  // The site's own policy lets no form go anywhere.
  await page.evaluate(() => {
    /** @type {any} */ (window).sends = [];
    document.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      /** @type {any} */ (window).sends.push(Object.fromEntries([...new FormData(document.querySelector("form"))]));
    });
  });
}
const sends = (page) => page.evaluate(() => /** @type {any} */ (window).sends);
const sent = (page) => page.evaluate(() => Object.fromEntries([...new FormData(document.querySelector("form"))]));
const valid = (page) => page.evaluate(() => /** @type {any} */ (document.querySelector("this-but")).validity.valid);
const option = (page, at = 0) => page.locator("this-but [role=option]:visible").nth(at);
/** The id of a picture: its file's name, in this gallery. */
const named = (page, at = 0) => option(page, at).locator("img").first().evaluate((/** @type {any} */ image) => image.src.split("/").pop());

on("its value is the picture that was chosen, or the words", {}, async (page) => {
  await form(page);
  assert.deepEqual(await sent(page), { likes: "", other: "x" });
  await page.evaluate(() => {
    /** @type {any} */ (window).changes = [];
    document.querySelector("form").addEventListener("change", ({ target }) => /** @type {any} */ (window).changes.push(/** @type {any} */ (target).value));
  });
  const first = await named(page);
  await answer(page, () => option(page).click());
  assert.deepEqual(await sent(page), { likes: first, other: "x" });
  await page.fill("this-but input[type=text]", "in blue");
  assert.equal((await sent(page)).likes, "in blue", "at once, before the answer");
  await page.waitForFunction(() => document.querySelector("this-but").hits.length && /** @type {any} */ (window).changes.at(-1) === "in blue");
  const hit = await named(page, 1);
  await answer(page, () => option(page, 1).click());
  assert.equal((await sent(page)).likes, hit);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).changes), [first, "in blue", hit]);

  // A page that takes the picture itself: the search stays, the form has the picture.
  await say(page, "green");
  await page.evaluate(() => document.querySelector("this-but").addEventListener("select", (event) => event.preventDefault()));
  const taken = await named(page, 2);
  await option(page, 2).click();
  assert.equal((await sent(page)).likes, taken);
  assert.equal(await page.inputValue("this-but input[type=text]"), "green");
  await page.fill("this-but input[type=text]", "green square");
  assert.equal((await sent(page)).likes, "green square");
  // An image of the visitor's own has no name that a site would know: the words count.
  await answer(page, () => give(page, "drop", { files: [{ name: "mine.png", type: "image/png", bytes: [...shape("ring", "red")] }] }));
  assert.equal((await sent(page)).likes, "green square");
  await page.evaluate(() => (/** @type {any} */ (document.querySelector("this-but")).value = "red"));
  assert.equal((await sent(page)).likes, "red");
});

on("required: the form is not sent, and leads to the words", {}, async (page) => {
  await form(page, 'name="likes" required');
  assert.equal(await valid(page), false);
  assert.match(await page.evaluate(() => /** @type {any} */ (document.querySelector("this-but")).validationMessage), /^Choose a picture/);
  await page.getByRole("button", { name: "Send" }).click();
  assert.deepEqual(await sends(page), []);
  assert.equal(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement?.id), "words");
  await clean(page, "missing");
  await page.fill("this-but input[type=text]", "red");
  assert.equal(await valid(page), true);
  await page.getByRole("button", { name: "Send" }).click();
  assert.deepEqual(await sends(page), [{ likes: "red", other: "x" }]);
  await page.evaluate(() => (/** @type {any} */ (document.querySelector("this-but")).required = false));
  await page.waitForFunction(() => /** @type {any} */ (document.querySelector("this-but")).validity.valid);
});

on("disabled, by itself or its fieldset: nothing is sent and nothing is taken", {}, async (page) => {
  await form(page);
  await say(page, "red");
  for (const what of ["this-but", "fieldset"]) {
    await page.evaluate((what) => document.querySelector(what).toggleAttribute("disabled", true), what);
    assert.deepEqual(Object.keys(await sent(page)), what === "this-but" ? ["other"] : []);
    await give(page, "paste", { files: [{ name: "mine.png", type: "image/png", bytes: [...shape("ring", "red")] }] });
    await page.locator("this-but .slot-main").click({ force: true, timeout: 2000 }).catch(() => {});
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => document.querySelector("this-but").reference), null);
    assert.equal(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement), null);
    await clean(page, what);
    await page.evaluate((what) => document.querySelector(what).toggleAttribute("disabled", false), what);
  }
  assert.equal((await sent(page)).likes, "red");
  await say(page, "blue");
});

on("reset begins anew, and a label leads to the field", {}, async (page) => {
  await form(page);
  await answer(page, () => option(page).click());
  await say(page, "red");
  await page.getByRole("button", { name: "Reset" }).click();
  await page.locator("this-but >> text=Start from one of these").waitFor();
  assert.equal((await sent(page)).likes, "");
  assert.equal(await focused(page), "Reset", "the focus stays");
  await page.locator("label").first().click();
  assert.equal(await page.evaluate(() => document.querySelector("this-but").shadowRoot.activeElement?.id), "words");
});

on("a page that the browser comes back to has the search again", {}, async (page) => {
  await form(page);
  const seen = await answer(page, () => option(page, 3).click());
  await say(page, "red");
  await page.evaluate(() => (/** @type {any} */ (window).same = true));
  await page.goto(`${here.site.address}favicon.svg`);
  await page.goBack();
  await page.waitForFunction(() => document.querySelector("this-but")?.reference && /** @type {any} */ (document.querySelector("this-but")).value === "red");
  assert.equal(await page.evaluate(() => document.querySelector("this-but").reference.title), seen.reference.title);
  assert.equal(await page.evaluate(() => /** @type {any} */ (window).same), undefined, "the page was built anew");
});
