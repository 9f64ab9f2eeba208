// Which of two is better.
import { el, get, picture, post, shared, toast } from "./api.js";

export function pairs(root) {
  let items = [];
  const duel = el("div", { class: "duel" });
  const count = el("span", { class: "soft", id: "compared" });
  root.replaceChildren(
    el("div", { class: "bar" }, el("b", {}, "Which is better?"), count,
      el("span", { class: "push row" }, el("button", { type: "button", onclick: load }, "Neither ", el("kbd", {}, "2")),
        el("a", { href: "/api/pairs.csv", download: "pairs.csv" }, "Download pairs.csv"))),
    duel);

  function show(found) {
    items = found;
    duel.replaceChildren(...items.map((item, at) => el("button", { type: "button", class: "tile", "data-key": item.key, onclick: () => prefer(at) },
      el("img", { src: picture(item.key), alt: `Image ${item.name}`, onerror: load }),
      el("span", { class: "tag" }, el("kbd", {}, at ? "3 or →" : "1 or ←"), at ? "right" : "left"))));
    count.textContent = `${shared.state?.pairs ?? 0} compared`;
  }

  async function load() {
    try {
      show((await get("pair")).items);
    } catch (error) {
      duel.replaceChildren(el("p", { class: "empty" }, error.message));
    }
  }

  async function prefer(at) {
    if (items.length < 2) return;
    const [winner, loser] = [items[at].key, items[1 - at].key];
    try {
      show((await post("pair", { winner, loser })).items);
    } catch (error) {
      toast(`Not saved: ${error.message}`, 8000);
    }
  }

  load();
  return {
    keys: { 1: () => prefer(0), 3: () => prefer(1), ArrowLeft: () => prefer(0), ArrowRight: () => prefer(1), 2: load },
    undone: load,
    leave() {},
  };
}
