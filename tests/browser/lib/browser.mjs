// Finds a Chromium and starts it the way that the tests need: headless, and with software WebGPU on request.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The browser's path, or an error that says how to get one. */
export function executable() {
  const found = PLACES.find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium found: install it (Debian: apt-get install chromium), or set CHROMIUM to its path");
  return found;
}

export function launch({ webgpu = false } = {}) {
  return chromium.launch({
    executablePath: executable(),
    // Its own switch: playwright's "headless shell" mode has no WebGPU.
    headless: false,
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
      ...(webgpu ? ["--enable-unsafe-webgpu"] : []),
    ],
  });
}
