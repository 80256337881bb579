// runtime.js is written by scripts/build-web.

declare module "*/runtime/runtime.js" {
  export const runtime: Partial<Record<import("./types.js").Device, import("./types.js").Built>>;
}
