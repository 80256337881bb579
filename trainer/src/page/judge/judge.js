// Keeps what is chosen in this browser, moves by keyboard, and saves the answers as a file.
"use strict";
(() => {
  const { page, kind } = document.body.dataset;
  const cards = [...document.querySelectorAll(".card")];
  const reader = document.getElementById("reader");
  const progress = document.querySelector("progress");
  const output = document.querySelector("output");
  const store = `thisbut-${kind}-${page}`;
  let now = 0;

  // A page of scales has a group of buttons for each of them; elsewhere the card is the one group.
  const groups = (card) => {
    const scales = [...card.querySelectorAll("[data-scale]")];
    return scales.length > 0 ? scales : [card];
  };
  const chosen = (group) => group.querySelector("input:checked")?.value ?? null;
  const open = (card) => groups(card).filter((group) => chosen(group) === null);
  const note = (card) => card.querySelector(".note input");
  const scales = [...(cards[0]?.querySelectorAll("[data-scale]") ?? [])].map((group) => group.dataset.scale);

  function answer(card) {
    const about = { item: Number(card.dataset.item), note: note(card).value.trim() };
    if (scales.length === 0) return { ...about, choice: chosen(card) };
    const rated = groups(card).filter((group) => chosen(group) !== null);
    return { ...about, scores: Object.fromEntries(rated.map((group) => [group.dataset.scale, Number(chosen(group))])) };
  }

  // What is answered in part is kept and saved too.
  const answers = () => cards.filter((card) => open(card).length < groups(card).length).map(answer);

  function show() {
    const done = cards.filter((card) => open(card).length === 0).length;
    cards.forEach((card) => card.classList.toggle("done", open(card).length === 0));
    progress.value = done;
    output.textContent = `${done} of ${cards.length}`;
  }

  function keep() {
    show();
    // A browser that keeps nothing (private windows, some local files) still lets the answers be saved.
    try { localStorage.setItem(store, JSON.stringify({ reader: reader.value, answers: answers() })); } catch {}
  }

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(store));
      reader.value = kept?.reader ?? "";
      for (const { item, choice, scores, note: words } of kept?.answers ?? []) {
        const card = cards[item - 1];
        for (const group of card ? groups(card) : []) {
          const value = group.dataset.scale ? scores?.[group.dataset.scale] : choice;
          const input = [...group.querySelectorAll("input[type=radio]")].find((radio) => radio.value === String(value));
          if (input) { input.checked = true; note(card).value = words; }
        }
      }
    } catch {}
  }

  function mark(at) {
    cards[now].classList.remove("now");
    now = Math.min(Math.max(at, 0), cards.length - 1);
    cards[now].classList.add("now");
  }

  function go(at) {
    mark(at);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    cards[now].focus({ preventScroll: true });
    cards[now].scrollIntoView({ block: cards[now].offsetHeight > innerHeight - 90 ? "start" : "center", behavior: calm ? "auto" : "smooth" });
  }

  function save(text, type, ending) {
    const link = document.createElement("a");
    const who = reader.value.trim().replace(/[^\p{L}\p{N}]+/gu, "-") || "reader";
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = `${kind}-${page}-${who}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  const saves = {
    json() {
      const all = { version: 1, page, kind, reader: reader.value.trim(), saved: new Date().toISOString(), answers: answers() };
      save(JSON.stringify(all, null, 1) + "\n", "application/json", "json");
    },
    csv() {
      const cell = (value) => `"${String(value).replaceAll('"', '""')}"`;
      const said = (a) => (scales.length > 0 ? scales.map((scale) => a.scores[scale] ?? "") : [a.choice]);
      const row = (a) => [page, kind, reader.value.trim(), a.item, ...said(a), a.note].map(cell).join(",");
      const head = ["page,kind,reader,item", ...(scales.length > 0 ? scales : ["choice"]), "note"].join(",");
      save([head, ...answers().map(row)].join("\n") + "\n", "text/csv", "csv");
    },
  };

  document.addEventListener("change", keep);
  document.addEventListener("focusin", (event) => {
    const card = event.target.closest?.(".card");
    if (card) mark(cards.indexOf(card));
  });
  document.addEventListener("click", (event) => saves[event.target.dataset?.save]?.());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio])")) return;
    const key = event.key.toLowerCase();
    const card = cards[now];
    // A number is for the scale that has the focus, else for the first that is open.
    const focused = groups(card).find((group) => group !== card && group.contains(document.activeElement));
    const group = focused ?? open(card)[0] ?? groups(card)[0];
    const radios = group.querySelectorAll("input[type=radio]");
    if (key === "j") go(now + 1);
    else if (key === "k") go(now - 1);
    else if (key === "0") { card.querySelectorAll("input[type=radio]").forEach((radio) => { radio.checked = false; }); keep(); }
    else if (radios[key - 1]) {
      radios[key - 1].checked = true;
      keep();
      const [left] = open(card);
      const next = cards.findIndex((other, at) => at > now && open(other).length > 0);
      if (left) left.querySelector("input[type=radio]").focus();
      else go(next < 0 ? now : next);
    } else return;
    event.preventDefault();
  });

  recall();
  show();
  mark(Math.max(cards.findIndex((card) => open(card).length > 0), 0));
})();
