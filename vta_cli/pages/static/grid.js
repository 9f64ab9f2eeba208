// A page of images that the head is sure (or unsure) of: mark the wrong ones, take the rest.
import { counted, el, get, percent, picture, post, shared, toast } from "./api.js";

const PAGE = 48;

export function grid(root) {
  let items = [];
  let order = "liked";
  let start = 0; // images passed over: left out, or not wanted now
  const verdicts = new Map();
  const which = el("select", { id: "order", onchange: () => { order = which.value; start = 0; load(); } },
    el("option", { value: "liked" }, "surest liked"),
    el("option", { value: "disliked" }, "surest disliked"),
    el("option", { value: "unsure" }, "least sure"));
  const tiles = el("ul", { class: "tiles", id: "tiles" });
  const take = el("button", { type: "button", class: "main", id: "take", onclick: submit });
  const tally = el("span", { class: "soft", id: "tally" });
  root.replaceChildren(
    el("div", { class: "bar" }, el("label", { class: "row" }, "show the", which), tally,
      el("span", { class: "push row" }, el("button", { type: "button", onclick: others }, "Other images"), take)),
    tiles);

  // What the head expects; without its opinion an image is left out, so that Enter takes no blind label.
  function guess(item) {
    return item.score === null ? null : Number(item.score >= 0.5);
  }

  async function load() {
    try {
      items = (await get("grid", { order, n: PAGE, start })).items;
    } catch (error) {
      toast(error.message);
      return;
    }
    verdicts.clear();
    for (const item of items) verdicts.set(item.key, guess(item));
    tiles.replaceChildren(...items.map((item, at) => el("li", {}, tile(item, at))));
    count();
    root.parentElement?.scrollTo(0, 0);
  }

  function others() {
    start = items.length < PAGE ? 0 : start + items.length;
    load();
  }

  function tile(item, at) {
    const word = el("b");
    const button = el("button", { type: "button", class: "tile", "data-key": item.key, onclick: () => turn(item, button, word) },
      el("img", { src: picture(item.key, "thumb"), alt: `Image ${item.name}`, loading: at < 24 ? "eager" : "lazy", onerror: () => drop(item, button) }),
      el("span", { class: "tag" }, word, el("span", {}, item.score === null ? "" : percent(item.score))));
    paint(item, button, word);
    return button;
  }

  // Its file went away: nothing can be said of it.
  function drop(item, button) {
    verdicts.delete(item.key);
    items = items.filter((other) => other !== item);
    button.parentElement?.remove();
    count();
  }

  function turn(item, button, word) {
    const first = guess(item) ?? 1;
    const now = verdicts.get(item.key);
    verdicts.set(item.key, now === null ? first : now === first ? 1 - first : null);
    paint(item, button, word);
    count();
  }

  function paint(item, button, word) {
    const now = verdicts.get(item.key);
    button.className = `tile is-${now ?? "none"}`;
    word.textContent = now === null ? "left out" : now ? "like" : "dislike";
    word.className = now === null ? "soft" : now ? "like" : "dislike";
  }

  function count() {
    const values = [...verdicts.values()];
    const n = [1, 0, null].map((kind) => values.filter((value) => value === kind).length);
    tally.textContent = items.length ? `${n[0]} liked, ${n[1]} disliked, ${n[2]} left out; click to change` : "";
    take.replaceChildren(`Take ${counted(n[0] + n[1], "label")} `, el("kbd", {}, "Enter"));
    take.disabled = n[0] + n[1] === 0;
    if (!items.length) tiles.replaceChildren(el("li", { class: "empty" }, "Nothing is left to label here."));
    else if (shared.state && !shared.state.fit) tally.textContent += ". Nothing is learnt yet, so the order is arbitrary";
  }

  async function submit() {
    const told = items.filter((item) => verdicts.get(item.key) !== null).map((item) => ({ key: item.key, label: verdicts.get(item.key) }));
    if (!told.length) return;
    take.disabled = true;
    try {
      await post("judge", { mode: "grid", verdicts: told });
      toast(`${counted(told.length, "label")} saved`);
      start += items.length - told.length;
      await load();
    } catch (error) {
      toast(`Not saved: ${error.message}`, 8000);
      count();
    }
  }

  function step(by) {
    const buttons = [...tiles.querySelectorAll("button")];
    const here = buttons.indexOf(document.activeElement);
    buttons[Math.min(buttons.length - 1, Math.max(0, here + by))]?.focus();
  }

  const columns = () => getComputedStyle(tiles).gridTemplateColumns.split(" ").length;
  load();
  return {
    keys: {
      Enter: submit, ArrowLeft: () => step(-1), ArrowRight: () => step(1),
      ArrowUp: () => step(-columns()), ArrowDown: () => step(columns()),
    },
    undone: () => { start = 0; load(); },
    leave() {},
  };
}
