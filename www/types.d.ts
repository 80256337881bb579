// Types of what passes between page and worker, and of what the element's parts share. For the type checker alone: not part of the
// site. The messages are those of web/src/protocol.rs.

export type Device = "cpu" | "webgpu";

/** What describes an image, in words. */
export interface About {
  title?: string;
  tags?: string[];
  group?: string;
  subgroup?: string;
  /** Modifiers that the model answers from this image. */
  changes?: string[];
  /** What the site owner's table says of it: the names of its columns, and the image's values. */
  extra?: Record<string, string>;
  /** One of the visitor's own. */
  own?: boolean;
}

/** Which images are ranked. */
export type Scope = "both" | "own" | "shipped";

/** An image of the gallery as the page shows it. */
export interface Item extends About {
  index: number;
  title: string;
  /** Address of the picture. */
  image: string;
  /** Similarity to the query, −1 to 1; results have one. */
  score?: number;
}

/** A search with its answer, from the bundle's index. */
export interface Example {
  from: Item;
  text: string;
  hits: Item[];
}

/** What a bundle shows before its model is there. */
export interface Opening {
  /** Pictures to start from. */
  items: Item[];
  examples: Example[];
  /** Images in the gallery. */
  total: number;
  /** As in `Info`. */
  words: boolean;
  upload: boolean;
  /** Bytes and addresses of the bundle's files. */
  bytes: number;
  files: string[];
}

/** What a page shows under a picture. */
export type RenderItem = (item: Item, place: { rank: number }) => Node | string | null | undefined;

/** A modifier to offer; with `when`, only where one of the words describes the reference. */
export type Suggestion = string | { text: string; when?: string[] };

/** What the engine says of itself once it is loaded. Sizes are in bytes, times in milliseconds. */
export interface Info {
  count: number;
  device: Device;
  model: string;
  version: string;
  /** Whether new images can be read. */
  upload: boolean;
  suggestions: Suggestion[];
  /** Words that part the gallery, with the number of images that have each. */
  facets?: [string, number][];
  bytes: number;
  fetched: number;
  memory: number;
  timings: { fetch: number; build: number; selfTest: number; runtime: number; total: number };
  /** Bytes of the site's WebGPU module, 0 where it has none (from the loader). */
  webgpu: number;
  /** Whether words without an image find anything here, as measured at export (from the loader). */
  words: boolean;
  /** Whether the model can say what counted in a query (`explain`). */
  why?: boolean;
  /** Names the form of an own picture's row: rows of another form are of another model. */
  rows: string;
  /** What the model understands, as the bundle says; may be empty (from the loader). */
  understands: string;
  /** The collection's name, and licence and origin of its pictures; may be empty (from the loader). */
  title: string;
  licence: string;
  /** Bytes that came over the network, compressed as they came (from the loader). */
  transferred: number;
  /** WebGPU was asked for and failed (from the client). */
  fellBack?: boolean;
}

/** A ninth of the picture, or no part much more than the others. */
export type Place = "top-left" | "top" | "top-right" | "left" | "middle" | "right" | "bottom-left" | "bottom" | "bottom-right" | "all";

/** A word or a change: its part of the attention that all words got, and where the model looked when it read it. */
export interface WhyPart {
  /** As the model reads it. */
  text: string;
  /** Its characters in the text as the model reads it. */
  span: { start: number; end: number };
  share: number;
  /** `rows` × `cols`, row by row, sum 1. */
  grid: number[];
  place: Place;
}

/** What counted in a query, by the model's attention. */
export interface Why {
  rows: number;
  cols: number;
  /** Where the grid lies on the picture, in parts of its width and height. */
  frame: { x: number; y: number; width: number; height: number };
  grid: number[];
  place: Place;
  words: WhyPart[];
  phrases: WhyPart[];
}

/** RGBA, row by row. */
export interface Pixels {
  width: number;
  height: number;
  rgba: ArrayBuffer;
  /** The file, where it is a JPEG: the engine refuses one of which a part is missing. */
  file?: ArrayBuffer;
}

/** Milliseconds of each step of a query; `image` and `total` are the page's. */
export interface Timings {
  compose: number;
  search: number;
  image: number;
  total: number;
}

interface Encoded {
  ms: number;
  /** Keys that were let go to make room. */
  dropped?: string[];
}

/** An own picture as the gallery has it: its row, and what is shown. */
export interface Indexed {
  row: Uint8Array<ArrayBuffer>;
  thumb: Blob;
  width: number;
  height: number;
}

/** A bundle of the own pictures; `shipped`: files of the shipped bundle that belong to it. */
export interface Published {
  manifest: string;
  files: { path: string; bytes: Uint8Array<ArrayBuffer> }[];
  shipped: string[];
}

/** Each question to the worker: what it carries, and what is answered. */
export interface Questions {
  load: { asks: { bundle: string; device: Device; fresh: boolean; helper?: boolean }; answers: Info };
  encode: { asks: { key: string } & Pixels; answers: Encoded };
  refer: { asks: { key: string; index: number }; answers: Encoded };
  query: {
    asks: { key: string | null; chosen: number | null; text: string; limit: number; others?: { key: string; chosen: number | null }[]; without?: string[]; balance?: number; only?: string[]; scope?: Scope };
    answers: { hits: Item[]; timings: { compose: number; search: number }; cut?: boolean; far?: boolean };
  };
  explain: { asks: { key: string; text: string; phrases: string[]; width: number; height: number }; answers: Why };
  browse: { asks: { offset: number; limit: number }; answers: { items: Item[]; total: number } };
  measure: { asks: {}; answers: { ms: number } };
  index: { asks: { blob: Blob; name: string }; answers: Indexed };
  add: { asks: { items: { title: string; image: string }[]; rows: Uint8Array[] }; answers: { count: number; own: number } };
  forget: { asks: {}; answers: { count: number; own: number } };
  publish: { asks: { title: string; images: { id: string; title: string; thumb: string; width: number; height: number }[] }; answers: Published };
}

/** A question as it is posted. */
export type Question = { [Type in keyof Questions]: { type: Type; id: number } & Questions[Type]["asks"] }[keyof Questions];

/** What went wrong, as it is posted: `kind` is a key of element/strings.js. */
export interface Failure {
  kind: string;
  message: string;
  mend: string;
}

/** Bytes of the first load, as they are transferred; `total` is null until the bundle's index is there. */
export interface Progress {
  stage: string;
  loaded: number;
  total: number | null;
  /** Whether new images can be read. */
  upload?: boolean;
  /** Everything is here from an earlier visit. */
  stored?: boolean;
}

/** What the worker posts. */
export type Message =
  | ({ event: "progress"; id: number } & Progress)
  | { event: "fatal"; error: Failure }
  | { event?: undefined; id: number; ok: true; value: unknown }
  | { event?: undefined; id: number; ok: false; error: Failure };

/** The functions of a wasm module's glue. */
export interface Module {
  default(options: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  load(
    message: { bundle: string; device: Device; fresh: boolean; manifest: string | null },
    progress: (part: { stage: string; loaded: number; total: number }) => void,
  ): Promise<Omit<Info, "webgpu" | "words" | "transferred" | "understands" | "title" | "licence">>;
  handle(message: Question): Promise<unknown>;
}

/** What runtime.js says of a wasm module: addresses relative to the site, its size in bytes, and what both files' SHA-256 is. */
export interface Built {
  glue: string;
  wasm: string;
  bytes: number;
  sha256?: { glue: string; wasm: string };
}

/** How to load: anew (`fresh` throws away stored files first), on a device of choice. */
export interface How {
  fresh?: boolean;
  device?: Device;
}

/** Which engine a client speaks to. */
export interface Options {
  bundle: string;
  worker: string;
  device: Device | "auto";
  timeout: number;
}

/** A part of a picture, from 0 to 1. */
export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** The image of a step. */
export interface Reference {
  key: string;
  title: string;
  /** Address of the picture. */
  image: string;
  /** A cut-out on a tile. */
  soft: boolean;
  /** An uploaded file; its address is to be revoked. */
  blob?: Blob;
  /** Position in the gallery. */
  item?: number;
  about?: About;
  /** A part of this one. */
  whole?: Reference;
  /** The part: left, top, width and height in parts of the whole. */
  box?: Box;
  pixels: () => Promise<Pixels>;
}

/** What is asked beside image and words; what it means: model/src/ask.rs. */
export interface Refined {
  /** What is not wanted. */
  without: string[];
  /** Between picture (0) and words (1). */
  balance: number;
  /** Only images with these words in title or tags. */
  only: string[];
  /** More images to start from. */
  also: Reference[];
}

/** A step of a search. */
export interface Step {
  id: number;
  reference: Reference | null;
  /** Changes that were taken. */
  tokens: string[];
  /** Words that are being typed. */
  draft: string;
  hits: Item[] | null;
  timings: Timings | null;
  /** The words that `hits` answer; null while there is no answer. */
  answered: string | null;
  /** A picture that the page took itself (`select` was prevented), and the words of then. */
  picked?: { item: Item; text: string };
  /** Other words will be another step. */
  settled: boolean;
  refined: Refined;
  /** Nothing is close: the model does not know what image or words are. */
  far?: boolean;
  /** The answer is the bundle's own, and shorter than the engine's. */
  stored?: boolean;
}

/** Gives a sentence in the visitor's language; `lang` and `dir` are those of the sentences. */
export interface Translate {
  (key: string, values?: Record<string, unknown>): string;
  lang: string;
  dir: "ltr" | "rtl";
}

/** What the element does when one of its parts is used. */
export interface Handlers {
  take(what: { files: File[]; link: string }): void;
  clear(): void;
  crop(): void;
  refuse(error: Error): void;
  lead(): void;
  type(): void;
  key(event: KeyboardEvent): void;
  submit(): void;
  scores(): void;
  pick(item: Item, typing: boolean): void;
  look(item: Item, rank: number): void;
  leave(): void;
  back(position: number): void;
  restart(): void;
  act(way: string): void;
  more(): void;
  shuffle(): void;
  link(): void;
  top(): void;
  explain(): void;
  refine(): void;
  why(): void;
}

type Tag<Spec extends string> = Spec extends `${infer Name}.${string}` ? Name : Spec;

/** The element that `h("tag.class")` builds. */
export type Made<Spec extends string> = Tag<Spec> extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag<Spec>] : HTMLElement;
