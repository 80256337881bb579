// The look: VitePress's own layout in the demo page's colours and typefaces.

import Base from "vitepress/theme-without-fonts";
import { h } from "vue";
import Live from "./Live.vue";
import Mark from "./Mark.vue";
import "./style.css";
import.meta.glob("../../themes/*.css", { eager: true });

export default {
  extends: Base,
  Layout: () => h(Base.Layout, null, { "nav-bar-title-before": () => h(Mark) }),
  enhanceApp: ({ app }) => app.component("Live", Live),
};
