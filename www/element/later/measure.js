// Whether the graphics card is faster here: a second engine beside the first, each measured. Fetched when a visitor begins it.

import { remember } from "../device.js";

/** @import { Client } from "../client.js" */

/** The graphics card has to win clearly: it starts more slowly and can be lost. */
const CLEARLY = 0.8;

/** @param {Client} client */
export async function measure(client) {
  const { link, adapter, stops } = client;
  if (!link || !adapter || !client.trialBytes) return;
  const { bundle } = client.options;
  client.adapter = null;
  try {
    const cpu = await link.ask("measure", {}, { quiet: 30_000 });
    client.still(stops);
    const trial = (client.trial = client.connect(() => {}, "webgpu"));
    const info = await trial.ask("load", { bundle, device: "webgpu", fresh: false }, { quiet: 60_000 });
    const gpu = await trial.ask("measure", {}, { quiet: 30_000 });
    const wins = gpu.ms < cpu.ms * CLEARLY;
    remember(bundle, wins ? "webgpu" : "cpu", adapter, { cpu: cpu.ms, webgpu: gpu.ms });
    if (!wins || client.link !== link) return trial.close();
    link.close();
    client.link = trial;
    client.info = info;
    client.encoded.clear();
  } catch {
    if (client.stops === stops) remember(bundle, "cpu", adapter);
    client.trial?.close();
  } finally {
    client.trial = null;
    if (client.info) client.emit("device", client.info);
  }
}
