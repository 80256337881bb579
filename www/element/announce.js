// Tells screen readers what changed. Two regions take turns: a region whose text is replaced by the same text says
// nothing, an emptied one that fills again does.

export class Announcer {
  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.regions = [0, 1].map(() => {
      const region = document.createElement("div");
      region.className = "sr";
      region.setAttribute("role", "status");
      region.setAttribute("aria-live", "polite");
      parent.append(region);
      return region;
    });
    this.turn = 0;
  }

  /** @param {string} text */
  say(text) {
    this.regions[this.turn].textContent = "";
    this.turn = 1 - this.turn;
    this.regions[this.turn].textContent = text;
  }
}
