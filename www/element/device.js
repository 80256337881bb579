// Which module to run: the CPU one for everybody, the WebGPU one where a real adapter answers and has won a short
// measurement on this very device. The decision is remembered for the bundle it was made with.

const KEY = "thisbut:device";
const KEEP_DAYS = 30;

/** A name for the adapter, or null where there is none worth trying. */
export async function adapter() {
  try {
    /** @type {any} */
    const found = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!found) return null;
    const info = found.info ?? {};
    if (info.isFallbackAdapter ?? found.isFallbackAdapter) return null;
    return [info.vendor, info.architecture, info.device].filter(Boolean).join(" ") || "gpu";
  } catch {
    return null;
  }
}

/**
 * "cpu" or "webgpu" if this bundle was measured here before, on the same adapter; null otherwise.
 * @param {string} bundle
 * @param {string} name the adapter's
 * @returns {?import("../types.js").Device}
 */
export function remembered(bundle, name) {
  try {
    const note = JSON.parse(localStorage.getItem(KEY) ?? "{}")[bundle];
    const fresh = note && note.adapter === name && Date.now() - note.at < KEEP_DAYS * 86_400_000;
    return fresh ? note.device : null;
  } catch {
    return null;
  }
}

/**
 * Keeps a decision; `device` null forgets it. Storage may be forbidden: then nothing is remembered.
 * @param {string} bundle
 * @param {?import("../types.js").Device} device
 * @param {string} name the adapter's
 * @param {{cpu?: number, webgpu?: number}} measured ms
 */
export function remember(bundle, device, name = "", measured = {}) {
  try {
    const notes = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (device) notes[bundle] = { device, adapter: name, measured, at: Date.now() };
    else delete notes[bundle];
    localStorage.setItem(KEY, JSON.stringify(notes));
  } catch {
    // Private windows: measured again next time.
  }
}

/** A trial holds a second model beside the first; above so many bytes it could end the page. */
const TRIAL_MEMORY = 5e8;

/**
 * Whether a second module may be fetched and measured here, should the visitor ask for it.
 * @param {import("../types.js").Info} info the first one's
 */
export const mayMeasure = ({ memory, webgpu, device }) => webgpu > 0 && device === "cpu" && !(memory > TRIAL_MEMORY);
