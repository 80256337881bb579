// The element's look. Everything a page may change is a custom property on <this-but>; everything else is reachable
// as ::part(). Logical properties throughout, so right-to-left pages mirror.

export const css = `
:host {
  --_card: var(--this-but-card, light-dark(#ffffff, #1d1c23));
  --_tile: var(--this-but-tile, light-dark(#f2eee7, #282731));
  --_tile-lit: var(--this-but-tile-lit, light-dark(#fbf8f3, #33323e));
  --_ink: var(--this-but-ink, light-dark(#221d17, #f5f1ea));
  --_soft: var(--this-but-soft, light-dark(#6a6157, #aaa4b3));
  --_line: var(--this-but-line, light-dark(#e6dfd4, #35333e));
  --_accent: var(--this-but-accent, light-dark(#c9431b, #ff8a61));
  --_on-accent: var(--this-but-on-accent, light-dark(#ffffff, #2a0f05));
  --_radius: var(--this-but-radius, 20px);
  --_font: var(--this-but-font, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif);
  --_voice: var(--this-but-voice, "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", "Liberation Serif", Georgia, serif);
  --_inset: var(--this-but-inset, 9%);
  --_fit: var(--this-but-fit, contain);
  --_columns: var(--this-but-columns, 128px);
  display: block;
  background: var(--this-but-paper, transparent);
  color: var(--_ink);
  font: 400 1rem/1.5 var(--_font);
  text-align: start;
  -webkit-text-size-adjust: 100%;
}
@supports not (color: light-dark(#000, #fff)) {
  :host {
    --_card: var(--this-but-card, #fff); --_tile: var(--this-but-tile, #f2eee7);
    --_tile-lit: var(--this-but-tile-lit, #fbf8f3); --_ink: var(--this-but-ink, #221d17); --_soft: var(--this-but-soft, #6a6157);
    --_line: var(--this-but-line, #e6dfd4); --_accent: var(--this-but-accent, #c9431b); --_on-accent: var(--this-but-on-accent, #fff);
  }
}
:host([hidden]), [hidden] { display: none !important; }
*, *::before, *::after { box-sizing: border-box; }
button, input { font: inherit; color: inherit; }
button { cursor: pointer; background: none; border: 0; padding: 0; text-align: inherit; -webkit-tap-highlight-color: transparent; }
button:disabled { cursor: default; opacity: .5; }
h2, p, ol, dl, dd { margin: 0; padding: 0; font: inherit; }
ol { list-style: none; }
/* Sentences without a translation keep their own direction. */
small, .quiet span { unicode-bidi: plaintext; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 3px; }
.icon { inline-size: 1.25em; block-size: 1.25em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; flex: none; }
.sr { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.root { display: grid; gap: 24px; position: relative; grid-template-columns: minmax(0, 1fr); }

/* The sentence: this [image], but [words] */
.composer {
  display: grid; grid-template-columns: 216px minmax(0, 1fr); gap: 12px 36px; align-items: center;
  background: var(--_card); border: 1px solid var(--_line); border-radius: calc(var(--_radius) * 1.5); padding: 20px;
  box-shadow: 0 1px 2px rgb(60 40 20 / .04), 0 18px 50px -22px rgb(60 40 20 / .16);
}
.slot { position: relative; aspect-ratio: 1; border-radius: var(--_radius); background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile)); }
.slot-main { display: grid; place-items: center; inline-size: 100%; block-size: 100%; border-radius: inherit; overflow: hidden; position: relative; }
.slot:not(.full) .slot-main::after {
  content: ""; position: absolute; inset: 0; border-radius: inherit; border: 2px dashed color-mix(in srgb, var(--_soft) 45%, transparent); transition: border-color .2s;
}
.slot.closed:not(.full) .slot-main::after { border: 1px solid var(--_line); }
.slot:not(.full) .slot-main:hover::after { border-color: var(--_accent); }
.slot-main img { grid-area: 1 / 1; inline-size: 100%; block-size: 100%; object-fit: cover; }
.slot.soft .slot-main img { object-fit: var(--_fit); padding: var(--_inset); }
.slot.full .empty { display: none; }
.empty { display: grid; justify-items: center; gap: 4px; padding: 20px; text-align: center; color: var(--_soft); }
.empty .icon { inline-size: 34px; block-size: 34px; margin-block-end: 8px; stroke-width: 1.4; color: var(--_accent); }
.empty b { color: var(--_ink); font-weight: 600; }
.empty small { font-size: .875rem; line-height: 1.4; }
.slot.reading img { opacity: .55; }
.wait { position: absolute; inset: 0; border-radius: inherit; pointer-events: none; display: none; overflow: hidden; }
.slot.reading .wait { display: block; }
.wait::after { content: ""; position: absolute; inset-block: 0; inline-size: 60%; background: linear-gradient(90deg, transparent, color-mix(in srgb, var(--_card) 70%, transparent), transparent); animation: sweep 1.1s linear infinite; }
.veil {
  position: fixed; inset: 0; z-index: 2147483000; display: grid; place-items: center; padding: 16px; pointer-events: none; opacity: 0; visibility: hidden; transition: opacity .15s;
  background: color-mix(in srgb, var(--_card) 82%, transparent); backdrop-filter: blur(6px); font-family: var(--_font); color: var(--_ink);
}
.veil.over { opacity: 1; visibility: visible; }
.veil b { display: grid; justify-items: center; gap: 10px; padding: 48px 64px; border: 2px dashed var(--_accent); border-radius: calc(var(--_radius) * 1.5); background: var(--_card); font: 400 1.5rem/1.25 var(--_voice); text-align: center; }
.veil .icon { inline-size: 40px; block-size: 40px; stroke-width: 1.4; color: var(--_accent); }
.round {
  display: grid; place-items: center; inline-size: 36px; block-size: 36px; border-radius: 50%;
  background: var(--_card); color: var(--_ink); box-shadow: 0 1px 5px rgb(0 0 0 / .22);
}
.remove, .cut { position: absolute; inset-block-start: 10px; inset-inline-end: 10px; }
.cut { inset-block: auto 10px; }
.round .icon { inline-size: 16px; block-size: 16px; }
.say { display: grid; gap: 11px; align-content: center; min-inline-size: 0; }
.voice { display: block; font: 400 clamp(2rem, 5vw, 2.75rem)/1.05 var(--_voice); letter-spacing: -.015em; }
.voice i { color: var(--_accent); }
.field { display: flex; gap: 10px; align-items: center; border-block-end: 2px solid var(--_line); padding-block-end: 8px; transition: border-color .2s; }
.field:focus-within { border-color: var(--_accent); }
.line { flex: 1; min-inline-size: 0; display: flex; flex-wrap: wrap; align-items: center; gap: 6px 8px; }
.tokens { display: contents; }
.token { display: inline-flex; gap: 6px; align-items: center; max-inline-size: 100%; min-block-size: 36px; padding: 4px 8px 4px 14px; border-radius: 99px; background: var(--_tile); color: var(--_ink); font-size: 1rem; line-height: 1.3; }
.token:hover { color: var(--_accent); }
.token .icon { inline-size: 14px; block-size: 14px; }
.field input { flex: 1 1 8ch; min-inline-size: 0; border: 0; background: none; outline: 0; padding: 6px 0; font-size: clamp(1.125rem, 2.4vw, 1.5rem); line-height: 1.3; }
.field input::placeholder { color: var(--_soft); opacity: 1; }
.go {
  display: grid; place-items: center; inline-size: 48px; block-size: 48px; border-radius: 50%; flex: none;
  background: var(--_accent); color: var(--_on-accent); transition: transform .2s;
}
.go:hover { transform: translateX(2px); }
.shell:dir(rtl) .go .icon { transform: scaleX(-1); }
.go.busy .icon { animation: nudge .9s ease-in-out infinite alternate; }
.offer { display: grid; min-inline-size: 0; min-block-size: 58px; align-content: start; }
.offer > * { grid-area: 1 / 1; min-inline-size: 0; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; align-content: start; }
.chip {
  padding: 6px 14px; border-radius: 99px; border: 1px solid var(--_line); font-size: .9375rem; line-height: 1.4; color: var(--_soft);
  transition: color .15s, border-color .15s;
}
.chip:hover { border-color: var(--_accent); color: var(--_accent); }
.chip[aria-pressed=true] { border-color: var(--_ink); background: var(--_tile); color: var(--_ink); }
.under { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; font-size: .875rem; color: var(--_soft); min-block-size: 24px; }
.under .icon { inline-size: 16px; block-size: 16px; }
.privacy { display: inline-flex; gap: 7px; align-items: center; }
.note { color: var(--_accent); }
.quiet { display: inline-flex; gap: 7px; align-items: center; min-block-size: 36px; padding: 4px 10px; border-radius: 10px; color: var(--_soft); font-size: .9375rem; white-space: nowrap; }
.quiet:hover { background: var(--_tile); color: var(--_ink); }
.quiet[aria-pressed=true] { background: var(--_tile); color: var(--_ink); box-shadow: inset 0 0 0 1px var(--_soft); }
a.quiet { text-decoration: none; }
.quiet .icon { inline-size: 18px; block-size: 18px; }

/* Steps */
.trail { display: flex; gap: 12px; align-items: center; justify-content: space-between; min-inline-size: 0; }
.steps { display: flex; overflow-x: auto; gap: 4px; padding: 4px; margin: -4px; scrollbar-width: none; min-inline-size: 0; position: relative; }
.steps li { display: flex; align-items: center; flex: none; }
.steps li + li::before { content: ","; font: 400 1.75rem/1 var(--_voice); color: var(--_accent); margin-inline: 2px 8px; translate: 0 -4px; }
.step { display: inline-flex; gap: 9px; align-items: center; padding: 4px; padding-inline-end: 14px; border-radius: 99px; border: 1px solid transparent; color: var(--_soft); font-size: .9375rem; }
.step:hover { background: var(--_tile); }
.step[aria-current] { background: var(--_card); border-color: var(--_line); color: var(--_ink); }
.dot { display: grid; place-items: center; inline-size: 36px; block-size: 36px; border-radius: 50%; background: var(--_tile); overflow: hidden; flex: none; }
.dot img { inline-size: 100%; block-size: 100%; object-fit: cover; }
.dot .icon { inline-size: 16px; block-size: 16px; }
.words { max-inline-size: 22ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

/* Progress and errors */
.progress { display: grid; gap: 6px; align-content: start; }
.progress-line { display: flex; justify-content: space-between; gap: 0 16px; flex-wrap: wrap; font-size: .9375rem; line-height: 1.35; }
.progress-line b { font-weight: 600; }
.progress-line span { color: var(--_soft); font-variant-numeric: tabular-nums; }
.bar { block-size: 6px; border-radius: 99px; background: var(--_tile); overflow: hidden; }
.bar i { display: block; block-size: 100%; inline-size: 100%; background: var(--_accent); border-radius: 99px; transform-origin: 0 50%; transform: scaleX(var(--part, 0)); transition: transform .25s linear; }
.shell:dir(rtl) .bar i { transform-origin: 100% 50%; }
.bar.unknown i { inline-size: 30%; animation: slide 1.2s ease-in-out infinite alternate; transform: none; }
.progress small { color: var(--_soft); font-size: .8125rem; line-height: 1.35; }
.error {
  display: flex; gap: 12px 20px; align-items: center; justify-content: space-between; flex-wrap: wrap; padding: 16px 20px;
  border-radius: var(--_radius); background: color-mix(in srgb, var(--_accent) 9%, var(--_card)); border: 1px solid color-mix(in srgb, var(--_accent) 35%, transparent);
}
.error p { flex: 1 1 24ch; }
.error b { font-weight: 600; display: block; }
.error div { display: flex; gap: 8px; flex-wrap: wrap; }
.solid { background: var(--_accent); color: var(--_on-accent); border-radius: 99px; padding: 9px 18px; min-block-size: 40px; font-weight: 600; font-size: .9375rem; }
.error .quiet { min-block-size: 40px; }
.error .owner { flex: 1 1 100%; font-size: .875rem; color: var(--_soft); }
.owner summary { cursor: pointer; inline-size: max-content; max-inline-size: 100%; padding-block: 4px; }
.owner code { display: block; padding-block: 4px; font: .8125rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }

/* Pictures. Moving tiles may pass the edge; the page must not scroll sideways for that. */
.out { overflow-x: clip; overflow-clip-margin: 10px; }
.out-head { display: flex; gap: 4px 12px; align-items: center; margin-block-end: 16px; flex-wrap: wrap; min-block-size: 40px; }
.ranked .out-head h2 { font: 600 1rem/1.4 var(--_font); letter-spacing: 0; }
.out-head h2 { font: 400 1.5rem/1.25 var(--_voice); letter-spacing: -.01em; margin-inline-end: auto; overflow-wrap: anywhere; }
.out-head small { font: .875rem var(--_font); color: var(--_soft); letter-spacing: 0; white-space: nowrap; margin-inline-start: 8px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--_columns), 1fr)); gap: 18px 16px; grid-auto-flow: dense; }
.tile { position: relative; cursor: pointer; display: flex; flex-direction: column; min-inline-size: 0; border-radius: var(--_radius); outline-offset: 4px; -webkit-tap-highlight-color: transparent; }
.frame {
  position: relative; aspect-ratio: 1; border-radius: var(--_radius); overflow: hidden; flex: none;
  background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile));
}
.frame > img { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: var(--_fit); padding: var(--_inset); opacity: 0; transition: opacity .25s, scale .35s cubic-bezier(.2,.8,.2,1); }
.frame > img.seen { opacity: 1; }
.frame.gone > img { display: none; }
.frame .name { position: absolute; inset: 0; display: none; place-items: center; padding: 12px; text-align: center; color: var(--_soft); font: italic 400 1rem/1.3 var(--_voice); overflow-wrap: anywhere; }
.frame.gone .name { display: grid; }
.tile:is(:hover, :focus-visible) .frame > img { scale: 1.06; }
.look {
  position: absolute; inset-block-start: 6px; inset-inline-end: 6px; display: grid; place-items: center; inline-size: 32px; block-size: 32px; border-radius: 50%;
  background: var(--_card); color: var(--_soft); opacity: 0; transition: opacity .18s; box-shadow: 0 1px 5px rgb(0 0 0 / .16);
}
.look .icon { inline-size: 17px; block-size: 17px; }
.look:hover { color: var(--_accent); }
.tile:is(:hover, :focus-visible) .look { opacity: 1; }
.was {
  position: absolute; inset-block-end: 10px; inset-inline-start: 10px; inline-size: 27%; aspect-ratio: 1; border-radius: calc(var(--_radius) * .6); overflow: hidden; cursor: zoom-in; touch-action: none;
  background: var(--_card); border: 2px solid var(--_card); box-shadow: 0 1px 6px rgb(0 0 0 / .2); transition: inset .16s, inline-size .16s;
}
.was img { inline-size: 100%; block-size: 100%; object-fit: cover; pointer-events: none; }
.frame.held .was { inset-block-end: 0; inset-inline-start: 0; inline-size: 100%; border-radius: inherit; z-index: 1; }
.frame.held .was img { object-fit: contain; }
.hint {
  position: absolute; inset-inline: 0; inset-block-end: 8px; margin-inline: auto; inline-size: max-content; max-inline-size: calc(100% - 12px);
  padding: 3px 11px; border-radius: 99px; background: var(--_card); color: var(--_accent); font: italic 400 .875rem/1.4 var(--_voice);
  opacity: 0; translate: 0 6px; transition: opacity .18s, translate .18s; box-shadow: 0 1px 6px rgb(0 0 0 / .12);
}
.tile:is(:hover, :focus-visible) .hint { opacity: 1; translate: none; }
.title { font-size: .8125rem; line-height: 1.35; color: var(--_soft); padding: 7px 4px 0; overflow-wrap: anywhere; }
mark { background: none; color: var(--_ink); font-weight: 600; }
.score { display: none; align-items: center; gap: 8px; padding: 5px 4px 0; }
.score i { flex: 1; block-size: 4px; border-radius: 9px; background: var(--_tile); overflow: hidden; position: relative; }
.score i::after { content: ""; position: absolute; inset: 0; background: var(--_accent); inline-size: calc(var(--fill, 0) * 100%); border-radius: inherit; }
.score b { font: 400 .75rem/1 var(--_font); color: var(--_soft); font-variant-numeric: tabular-nums; }
.scored .score { display: flex; }
.ranked .grid .tile.first { grid-column: span 2; grid-row: span 2; }
.ranked .tile.first .title { font-size: .9375rem; color: var(--_ink); }
.blank { cursor: default; }
.blank .frame { animation: breathe 1.4s ease-in-out infinite alternate; }
.blank:nth-child(3n) .frame { animation-delay: -.5s; }
.blank:nth-child(3n+1) .frame { animation-delay: -.9s; }
.stale .grid { opacity: .55; transition: opacity .2s .25s; }
.unknown { max-inline-size: 62ch; margin-block: -8px 18px; color: var(--_soft); }
.ranked.far .out-head h2 { font: 400 1.5rem/1.25 var(--_voice); }
.far .frame { opacity: .72; }
.ranked.far .grid .tile.first { grid-column: auto; grid-row: auto; }
.ranked.far .tile.first .title { font-size: .8125rem; color: var(--_soft); }
.more { display: flex; justify-content: center; margin-block-start: 20px; }
.more .quiet { border: 1px solid var(--_line); border-radius: 99px; padding-inline: 20px; min-block-size: 44px; }

/* How it works */
.how { border-block-start: 1px solid var(--_line); padding-block-start: 14px; color: var(--_soft); font-size: .9375rem; }
.how summary { cursor: pointer; inline-size: max-content; padding: 6px 8px; margin-inline-start: -8px; border-radius: 8px; }
.how summary:hover { color: var(--_ink); }

/* The sentence in one line, on narrow screens where it has scrolled away */
.pin { position: sticky; inset-block-start: 0; z-index: 2; block-size: 0; display: none; }
.pin-bar {
  display: flex; gap: 10px; align-items: center; inline-size: 100%; min-block-size: 52px; padding: 6px 14px 6px 8px; border-radius: 0 0 var(--_radius) var(--_radius);
  background: var(--_card); border: 1px solid var(--_line); border-block-start: 0; box-shadow: 0 10px 26px -16px rgb(60 40 20 / .4); translate: 0 -110%; visibility: hidden; transition: translate .2s, visibility .2s;
}
.pin.on .pin-bar { translate: none; visibility: visible; }
.pin-voice { font: 400 1.25rem/1 var(--_voice); white-space: nowrap; }
.pin-voice i { color: var(--_accent); }
.pin b { font-weight: 400; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

@keyframes breathe { to { opacity: .5; } }
@keyframes sweep { from { translate: -100% 0; } to { translate: 200% 0; } }
@keyframes nudge { to { transform: translateX(4px); } }
@keyframes slide { from { translate: -30% 0; } to { translate: 260% 0; } }

@container (max-width: 640px) {
  .root { gap: 20px; }
  .composer { grid-template-columns: auto minmax(0, 1fr); padding: 16px; gap: 12px 16px; }
  .say { display: contents; }
  .field, .offer, .under { grid-column: 1 / -1; }
  .pin { display: block; }
  .under .quiet, .error .quiet { margin-inline-start: -10px; }
  .slot { inline-size: 116px; }
  .slot:not(.full) { inline-size: auto; aspect-ratio: 2.5; grid-column: 1 / -1; }
  .slot:not(.full) + .say .voice { grid-column: 1 / -1; }
  .slot.closed:not(.full) { aspect-ratio: auto; }
  .slot.closed .empty { padding: 14px 12px; grid-template-columns: auto minmax(0, 1fr); gap: 0 12px; justify-items: start; text-align: start; }
  .slot.closed .icon { grid-row: span 2; align-self: center; margin: 0; }
  .slot .remove { inset-block-start: -8px; inset-inline-end: -8px; }
  .slot .cut { inset-block-end: -8px; inset-inline-end: -8px; }
  /* One line each: what is below stays where it is. */
  .progress-line { flex-wrap: nowrap; }
  .progress-line *, .progress small { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .progress small { font-size: .75rem; }
  .chips { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; margin-inline: -16px; padding: 5px 16px; align-items: start; }
  .chip { flex: none; padding: 8px 15px; }
  .grid { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px 10px; }
  .frame { border-radius: calc(var(--_radius) * .8); }
  .out-head { margin-block-end: 12px; }
  .out-head h2 { font-size: 1.1875rem; flex: 1; min-inline-size: 0; }
  .ranked .out-head .quiet span { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
  .trail .quiet span { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
}
.shell { container-type: inline-size; }
.shell[inert] { opacity: .5; }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
@media (hover: none) {
  .tile:hover .hint { opacity: 0; }
  .tile:hover .frame > img { scale: none; }
  .look { opacity: .8; inline-size: 26px; block-size: 26px; box-shadow: none; }
  .look .icon { inline-size: 14px; block-size: 14px; }
  /* Beyond what is seen, so that a finger finds it. */
  .look::before { content: ""; position: absolute; inset: -8px; }
}
@media (pointer: coarse) {
  .chip, .quiet, .token, .solid, .step, .error .quiet { min-block-size: 44px; }
  .round { inline-size: 44px; block-size: 44px; }
  .how summary, .owner summary { padding-block: 11px; }
}
@media (forced-colors: active) {
  .go, .solid, .chip, .token, .frame, .step, .round, .look, .was, .pin-bar, .bar, .score i { border: 1px solid ButtonText; }
  .bar i, .score i::after { background: Highlight; forced-color-adjust: none; }
  .chip[aria-pressed=true], .quiet[aria-pressed=true], .step[aria-current] { background: Highlight; color: HighlightText; forced-color-adjust: none; }
  mark { color: Highlight; text-decoration: underline; forced-color-adjust: none; }
  .field:focus-within { border-color: Highlight; }
}
`;
