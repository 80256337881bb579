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

  const chosen = (card) => card.querySelector("input:checked")?.value ?? null;
  const note = (card) => card.querySelector(".note input");

  function answers() {
    const all = cards.map((card) => ({ item: Number(card.dataset.item), choice: chosen(card), note: note(card).value.trim() }));
    return all.filter((answer) => answer.choice !== null);
  }

  function show() {
    const done = cards.filter(chosen).length;
    cards.forEach((card) => card.classList.toggle("done", chosen(card) !== null));
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
      for (const { item, choice, note: words } of kept?.answers ?? []) {
        const card = cards[item - 1];
        const input = [...(card?.querySelectorAll("input[type=radio]") ?? [])].find((radio) => radio.value === choice);
        if (input) { input.checked = true; note(card).value = words; }
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
      const rows = answers().map((a) => [page, kind, reader.value.trim(), a.item, a.choice, a.note].map(cell).join(","));
      save(["page,kind,reader,item,choice,note", ...rows].join("\n") + "\n", "text/csv", "csv");
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
    const radios = cards[now].querySelectorAll("input[type=radio]");
    if (key === "j") go(now + 1);
    else if (key === "k") go(now - 1);
    else if (key === "0") { radios.forEach((radio) => { radio.checked = false; }); keep(); }
    else if (radios[key - 1]) {
      radios[key - 1].checked = true;
      keep();
      const next = cards.findIndex((card, at) => at > now && chosen(card) === null);
      go(next < 0 ? now : next);
    } else return;
    event.preventDefault();
  });

  recall();
  show();
  mark(Math.max(cards.findIndex((card) => chosen(card) === null), 0));
})();
