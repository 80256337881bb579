// Image files made on the spot: good ones for a gallery, odd ones that a visitor may bring.

import { crc32 as zlibCrc, deflateSync } from "node:zlib";

const TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n >>> 0;
});
/** @type {(data: Buffer) => number} */
const crc = zlibCrc ?? ((data) => ~data.reduce((sum, byte) => TABLE[(sum ^ byte) & 255] ^ (sum >>> 8), ~0) >>> 0);

function chunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body) >>> 0, body.length + 4);
  return out;
}

/**
 * PNG from a function of x and y that gives the bytes of a pixel. Colour types: 0 grey, 2 RGB, 6 RGBA.
 * @param {number} width
 * @param {number} height
 * @param {{depth?: number, colour?: number, pixel?: (x: number, y: number) => number[], row?: Buffer}} how
 */
export function png(width, height, { depth = 8, colour = 2, pixel = () => [200, 80, 40], row = null }) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([depth, colour, 0, 0, 0], 8);
  const rows = [];
  for (let y = 0; y < height; y++) {
    rows.push(Buffer.from([0]), row ?? Buffer.from(Array.from({ length: width }, (_, x) => pixel(x, y)).flat()));
  }
  const data = deflateSync(Buffer.concat(rows), { level: 6 });
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

export const COLOURS = { red: [214, 59, 48], green: [60, 160, 80], blue: [50, 100, 210], yellow: [240, 200, 60], black: [40, 40, 44], white: [245, 245, 245] };
const INSIDE = {
  circle: (x, y) => x * x + y * y < 0.6,
  square: (x, y) => Math.abs(x) < 0.7 && Math.abs(y) < 0.7,
  triangle: (x, y) => y < 0.7 && y > -0.7 && Math.abs(x) < (y + 0.7) / 1.9,
  ring: (x, y) => x * x + y * y < 0.65 && x * x + y * y > 0.25,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.22 && Math.max(Math.abs(x), Math.abs(y)) < 0.8,
};
export const SHAPES = Object.keys(INSIDE);

/** A coloured shape on nothing, `side` pixels wide. */
export function shape(name, colour, side = 64) {
  const [r, g, b] = COLOURS[colour];
  return png(side, side, {
    colour: 6,
    pixel: (x, y) => (INSIDE[name]((2 * x + 1) / side - 1, (2 * y + 1) / side - 1) ? [r, g, b, 255] : [0, 0, 0, 0]),
  });
}

/** Two frames of one colour each, 2 × 2. */
export const animatedGif = Buffer.from(
  "47494638396102000200800000ff000000ff0021ff0b4e45545343415045322e30030100000021f90400320000002c000000000200020000020284510021f90400320000002c00000000020002000002028c53003b",
  "hex",
);

/** Real files with something unusual about them. */
export const odd = {
  "one pixel": () => png(1, 1, {}),
  "16 bits a channel": () => png(8, 8, { depth: 16, pixel: (x, y) => [x * 30, 0, y * 30, 0, 128, 0] }),
  "one row": () => png(900, 1, {}),
  "animated GIF": () => animatedGif,
  "grey": () => png(9, 9, { colour: 0, pixel: (x) => [x * 28] }),
};

/** A real PNG of 100 megapixels that is only some kilobytes long. */
export const huge = () => png(10_000, 10_000, { depth: 1, colour: 0, row: Buffer.alloc(1250) });
