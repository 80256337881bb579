// The element's look. Everything a page may change is a custom property on <this-but>; everything else is reachable
// as ::part(). Logical properties throughout, so right-to-left pages mirror.

const css = `
:host {
  --_paper: var(--this-but-paper, light-dark(#fbf9f5, #141318));
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
  color: var(--_ink);
  font: 400 1rem/1.5 var(--_font);
  text-align: start;
  -webkit-text-size-adjust: 100%;
}
@supports not (color: light-dark(#000, #fff)) {
  :host {
    --_paper: var(--this-but-paper, #fbf9f5); --_card: var(--this-but-card, #fff); --_tile: var(--this-but-tile, #f2eee7);
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
.veil {
  position: absolute; inset: 0; display: grid; place-items: center; border-radius: inherit; pointer-events: none; opacity: 0; transition: opacity .15s;
  background: color-mix(in srgb, var(--_accent) 90%, transparent); color: var(--_on-accent); font-weight: 600; padding: 16px; text-align: center;
}
.slot.over .veil { opacity: 1; }
.round {
  display: grid; place-items: center; inline-size: 36px; block-size: 36px; border-radius: 50%;
  background: var(--_card); color: var(--_ink); box-shadow: 0 1px 5px rgb(0 0 0 / .22);
}
.remove { position: absolute; inset-block-start: 10px; inset-inline-end: 10px; }
.remove .icon { inline-size: 16px; block-size: 16px; }
.say { display: grid; gap: 11px; align-content: center; min-inline-size: 0; }
.voice { display: block; font: 400 clamp(2rem, 5vw, 2.75rem)/1.05 var(--_voice); letter-spacing: -.015em; }
.voice i { color: var(--_accent); }
.field { display: flex; gap: 10px; align-items: center; border-block-end: 2px solid var(--_line); padding-block-end: 8px; transition: border-color .2s; }
.field:focus-within { border-color: var(--_accent); }
.field input { flex: 1; min-inline-size: 0; border: 0; background: none; outline: 0; padding: 6px 0; font-size: clamp(1.125rem, 2.4vw, 1.5rem); line-height: 1.3; }
.field input::placeholder { color: var(--_soft); opacity: 1; }
.go {
  display: grid; place-items: center; inline-size: 48px; block-size: 48px; border-radius: 50%; flex: none;
  background: var(--_accent); color: var(--_on-accent); transition: transform .2s;
}
.go:hover { transform: translateX(2px); }
:host(:dir(rtl)) .go .icon { transform: scaleX(-1); }
.go.busy .icon { animation: nudge .9s ease-in-out infinite alternate; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; min-block-size: 36px; }
.chip {
  padding: 6px 14px; border-radius: 99px; border: 1px solid var(--_line); font-size: .9375rem; line-height: 1.4; color: var(--_soft);
  transition: color .15s, border-color .15s;
}
.chip:hover { border-color: var(--_accent); color: var(--_accent); }
.under { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; font-size: .875rem; color: var(--_soft); min-block-size: 24px; }
.under .icon { inline-size: 16px; block-size: 16px; }
.privacy { display: inline-flex; gap: 7px; align-items: center; }
.note { color: var(--_accent); }
.quiet { display: inline-flex; gap: 7px; align-items: center; min-block-size: 36px; padding: 4px 10px; border-radius: 10px; color: var(--_soft); font-size: .9375rem; white-space: nowrap; }
.quiet:hover { background: var(--_tile); color: var(--_ink); }
.quiet[aria-pressed=true] { background: var(--_tile); color: var(--_accent); }
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
.progress { display: grid; gap: 8px; }
.progress-line { display: flex; justify-content: space-between; gap: 4px 16px; flex-wrap: wrap; font-size: .9375rem; }
.progress-line b { font-weight: 600; }
.progress-line span { color: var(--_soft); font-variant-numeric: tabular-nums; }
.bar { block-size: 6px; border-radius: 99px; background: var(--_tile); overflow: hidden; }
.bar i { display: block; block-size: 100%; inline-size: 100%; background: var(--_accent); border-radius: 99px; transform-origin: 0 50%; transform: scaleX(var(--part, 0)); transition: transform .25s linear; }
:host(:dir(rtl)) .bar i { transform-origin: 100% 50%; }
.bar.unknown i { inline-size: 30%; animation: slide 1.2s ease-in-out infinite alternate; transform: none; }
.progress small { color: var(--_soft); font-size: .875rem; }
.error {
  display: flex; gap: 12px 20px; align-items: center; justify-content: space-between; flex-wrap: wrap; padding: 16px 20px;
  border-radius: var(--_radius); background: color-mix(in srgb, var(--_accent) 9%, var(--_card)); border: 1px solid color-mix(in srgb, var(--_accent) 35%, transparent);
}
.error p { flex: 1 1 24ch; }
.error b { font-weight: 600; display: block; }
.error div { display: flex; gap: 8px; flex-wrap: wrap; }
.solid { background: var(--_accent); color: var(--_on-accent); border-radius: 99px; padding: 9px 18px; min-block-size: 40px; font-weight: 600; font-size: .9375rem; }
.error .quiet { min-block-size: 40px; }

/* Pictures. Moving tiles may pass the edge; the page must not scroll sideways for that. */
.out { overflow-x: clip; overflow-clip-margin: 10px; }
.out-head { display: flex; gap: 4px 12px; align-items: center; margin-block-end: 16px; flex-wrap: wrap; min-block-size: 40px; }
.out-head h2 { font: 400 1.5rem/1.25 var(--_voice); letter-spacing: -.01em; margin-inline-end: auto; overflow-wrap: anywhere; }
.out-head small { font: .875rem var(--_font); color: var(--_soft); letter-spacing: 0; white-space: nowrap; margin-inline-start: 8px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--_columns), 1fr)); gap: 18px 16px; grid-auto-flow: dense; }
.tile { position: relative; cursor: pointer; display: flex; flex-direction: column; min-inline-size: 0; border-radius: var(--_radius); outline-offset: 4px; -webkit-tap-highlight-color: transparent; }
.frame {
  position: relative; aspect-ratio: 1; border-radius: var(--_radius); overflow: hidden; flex: none;
  background: radial-gradient(circle at 50% 38%, var(--_tile-lit), var(--_tile));
}
.frame img { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: var(--_fit); padding: var(--_inset); opacity: 0; transition: opacity .25s, scale .35s cubic-bezier(.2,.8,.2,1); }
.frame img.seen { opacity: 1; }
.frame img.gone { display: none; }
.tile:is(:hover, :focus-visible) img { scale: 1.06; }
.hint {
  position: absolute; inset-inline: 0; inset-block-end: 8px; margin-inline: auto; inline-size: max-content; max-inline-size: calc(100% - 12px);
  padding: 3px 11px; border-radius: 99px; background: var(--_card); color: var(--_accent); font: italic 400 .875rem/1.4 var(--_voice);
  opacity: 0; translate: 0 6px; transition: opacity .18s, translate .18s; box-shadow: 0 1px 6px rgb(0 0 0 / .12);
}
.tile:is(:hover, :focus-visible) .hint { opacity: 1; translate: none; }
.title { font-size: .8125rem; line-height: 1.35; color: var(--_soft); padding: 7px 4px 0; overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow-wrap: anywhere; }
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
.more { display: flex; justify-content: center; margin-block-start: 20px; }
.more .quiet { border: 1px solid var(--_line); border-radius: 99px; padding-inline: 20px; min-block-size: 44px; }

/* How it works */
.how { border-block-start: 1px solid var(--_line); padding-block-start: 14px; color: var(--_soft); font-size: .9375rem; }
.how summary { cursor: pointer; inline-size: max-content; padding: 6px 8px; margin-inline-start: -8px; border-radius: 8px; }
.how summary:hover { color: var(--_ink); }
.how p { max-inline-size: 68ch; margin-block: 8px 16px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 14px 24px; }
.facts dt { font-size: .8125rem; }
.facts dd { color: var(--_ink); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }

@keyframes breathe { to { opacity: .5; } }
@keyframes nudge { to { transform: translateX(4px); } }
@keyframes slide { from { translate: -30% 0; } to { translate: 260% 0; } }

@container (max-width: 640px) {
  .root { gap: 20px; }
  .composer { grid-template-columns: auto minmax(0, 1fr); padding: 16px; gap: 12px 16px; }
  .say { display: contents; }
  .field, .chips, .under { grid-column: 1 / -1; }
  .under .quiet, .error .quiet { margin-inline-start: -10px; }
  .slot { inline-size: 116px; }
  .slot:not(.full) { inline-size: auto; aspect-ratio: 2.5; grid-column: 1 / -1; }
  .slot:not(.full) + .say .voice { grid-column: 1 / -1; }
  .slot.closed:not(.full) { aspect-ratio: auto; }
  .slot.closed .empty { padding: 14px 12px; grid-template-columns: auto minmax(0, 1fr); gap: 0 12px; justify-items: start; text-align: start; }
  .slot.closed .icon { grid-row: span 2; align-self: center; margin: 0; }
  .remove { inset-block-start: -8px; inset-inline-end: -8px; }
  .chips { flex-wrap: nowrap; overflow-x: auto; scrollbar-width: none; margin-inline: -16px; padding: 3px 16px; }
  .chip { flex: none; padding: 8px 15px; }
  .grid { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px 10px; }
  .frame { border-radius: calc(var(--_radius) * .8); }
  .out-head { flex-wrap: nowrap; margin-block-end: 12px; }
  .out-head h2 { font-size: 1.3125rem; flex: 1; min-inline-size: 0; }
  .out-head small { margin-inline-start: 0; display: block; }
  .trail .quiet span { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
}
.shell { container-type: inline-size; }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
}
@media (hover: none) {
  .tile:hover .hint { opacity: 0; }
  .tile:hover img { scale: none; }
}
@media (forced-colors: active) {
  .go, .solid, .chip, .frame, .step { border: 1px solid ButtonText; }
  .bar i, .score i::after { background: Highlight; }
}
`;

/** @type {?CSSStyleSheet} */
let sheet = null;

/**
 * Gives the shadow root its styles without an inline style element: strict content policies allow this.
 * @param {ShadowRoot} root
 */
export function dress(root) {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
  }
  root.adoptedStyleSheets = [sheet];
}
