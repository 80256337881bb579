// Types of what passes between page and worker, and of what the element's parts share. For the type checker alone: not part of the
// site. The messages are those of web/src/protocol.rs.

export type Device = "cpu" | "webgpu";

/** What describes an image, in words. */
export interface About {
  title?: string;
  tags?: string[];
  group?: string;
  subgroup?: string;
}

/** An image of the gallery as the page shows it. */
export interface Item extends About {
  index: number;
  title: string;
  /** Address of the picture. */
  image: string;
  /** Similarity to the query, −1 to 1; results have one. */
  score?: number;
}

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
  bytes: number;
  fetched: number;
  memory: number;
  timings: { fetch: number; build: number; selfTest: number; runtime: number; total: number };
  /** Whether the site has a WebGPU module (from the loader). */
  webgpu: boolean;
  /** WebGPU was asked for and failed (from the client). */
  fellBack?: boolean;
}

/** RGBA, row by row. */
export interface Pixels {
  width: number;
  height: number;
  rgba: ArrayBuffer;
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

/** Each question to the worker: what it carries, and what is answered. */
export interface Questions {
  load: { asks: { bundle: string; device: Device; fresh: boolean }; answers: Info };
  encode: { asks: { key: string } & Pixels; answers: Encoded };
  refer: { asks: { key: string; index: number }; answers: Encoded };
  query: {
    asks: { key: string | null; chosen: number | null; text: string; limit: number };
    answers: { hits: Item[]; timings: { compose: number; search: number } };
  };
  browse: { asks: { offset: number; limit: number }; answers: { items: Item[]; total: number } };
  measure: { asks: {}; answers: { ms: number } };
}

/** A question as it is posted. */
export type Question = { [Type in keyof Questions]: { type: Type; id: number } & Questions[Type]["asks"] }[keyof Questions];

/** What went wrong, as it is posted: `kind` is a key of element/strings.js. */
export interface Failure {
  kind: string;
  message: string;
  mend: string;
}

/** Bytes of the first load; `total` is null until the bundle's index is there. */
export interface Progress {
  stage: string;
  loaded: number;
  total: number | null;
  upload?: boolean;
}

/** What the worker posts. */
export type Message =
  | ({ event: "progress"; id: number } & Progress)
  | { event: "fatal"; error: Failure }
  | { event?: undefined; id: number; ok: true; value: unknown }
  | { event?: undefined; id: number; ok: false; error: Failure };

/** The functions of a wasm module's glue. */
export interface Module {
  default(options: { module_or_path: Response }): Promise<unknown>;
  load(
    message: { bundle: string; device: Device; fresh: boolean; manifest: string | null },
    progress: (part: { stage: string; loaded: number; total: number }) => void,
  ): Promise<Omit<Info, "webgpu">>;
  handle(message: Question): Promise<unknown>;
}

/** What runtime.js says of a wasm module: addresses relative to the site, and its size in bytes. */
export interface Built {
  glue: string;
  wasm: string;
  bytes: number;
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

/** The image of a step. */
export interface Reference {
  key: string;
  title: string;
  /** Address of the picture. */
  image: string;
  /** A cut-out on a tile. */
  soft: boolean;
  /** The address is to be revoked. */
  owned?: boolean;
  /** Position in the gallery. */
  item?: number;
  about?: About;
  pixels: () => Promise<Pixels>;
}

/** A step of a search. */
export interface Step {
  reference: Reference | null;
  text: string;
  hits: Item[] | null;
  timings: Timings | null;
  stale: boolean;
}

/** Gives a sentence in the visitor's language. */
export type Translate = (key: string, values?: Record<string, unknown>) => string;

/** What the element does when one of its parts is used. */
export interface Handlers {
  take(blob: Blob, name: string): void;
  clear(): void;
  refuse(error: Error): void;
  lead(): void;
  type(): void;
  submit(): void;
  scores(): void;
  pick(item: Item, typing: boolean): void;
  back(position: number): void;
  restart(): void;
  act(way: string): void;
  more(): void;
  shuffle(): void;
}

type Tag<Spec extends string> = Spec extends `${infer Name}.${string}` ? Name : Spec;

/** The element that `h("tag.class")` builds. */
export type Made<Spec extends string> = Tag<Spec> extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Tag<Spec>] : HTMLElement;
