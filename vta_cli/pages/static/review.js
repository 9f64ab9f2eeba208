// All labels, likely mistakes first: look at them again, change or withdraw any.
import { el, get, picture, post, toast, percent, whole } from "./api.js";

const PAGE = 60;

export function review(root) {
  let start = 0;
  const option = (value, text) => el("option", { value }, text);
  const show = el("select", { id: "show", onchange: () => { start = 0; load(); } },
    option("all", "all labels"), option("liked", "liked"), option("disliked", "disliked"));
  const order = el("select", { id: "review-order", onchange: () => { start = 0; load(); } },
    option("mistakes", "likely mistakes first"), option("newest", "newest first"));
  const list = el("ul", { class: "tiles", id: "entries" });
  const total = el("span", { class: "soft" });
  const earlier = el("button", { type: "button", onclick: () => { start = Math.max(0, start - PAGE); load(); } }, "Back");
  const later = el("button", { type: "button", onclick: () => { start += PAGE; load(); } }, "More");
  root.replaceChildren(el("div", { class: "bar" }, el("label", { class: "row" }, "show", show), el("label", { class: "row" }, "in order", order),
    total, el("span", { class: "push row" }, earlier, later)), list);

  async function load() {
    let found;
    try {
      found = await get("review", { show: show.value, order: order.value, start, n: PAGE });
    } catch (error) {
      toast(error.message);
      return;
    }
    total.textContent = found.total ? `${whole(start + 1)} to ${whole(start + found.items.length)} of ${whole(found.total)}` : "no labels yet";
    earlier.disabled = start === 0;
    later.disabled = start + found.items.length >= found.total;
    list.replaceChildren(...found.items.map((item) => el("li", { class: "entry", "data-key": item.key }, ...entry(item))));
    root.parentElement?.scrollTo(0, 0);
  }

  function entry(item) {
    const doubtful = item.opinion !== null && Math.abs(item.opinion - item.label) > 0.5;
    const told = new Date(item.at); // the journal is in UTC, the page in the reader's time
    const when = Number.isNaN(told.getTime()) ? "" : told.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    return [
      el("div", { class: `tile is-${item.label}` },
        el("img", { src: picture(item.key, "thumb"), alt: `Image ${item.name}`, loading: "lazy" }),
        el("span", { class: "tag" }, el("b", { class: item.label ? "like" : "dislike" }, item.label ? "liked" : "disliked"),
          el("span", { class: doubtful ? "doubt" : "" }, item.opinion === null ? "" : `head: ${percent(item.opinion)}`))),
      el("div", { class: "facts" }, el("b", { title: item.name }, item.name.split("/").at(-1)), [item.rater, item.mode, when].filter(Boolean).join(", ")),
      el("div", { class: "row" },
        el("button", { type: "button", "data-act": "flip", onclick: () => change(item, 1 - item.label) }, item.label ? "Dislike" : "Like"),
        el("button", { type: "button", "data-act": "withdraw", onclick: () => change(item, null) }, "Withdraw")),
    ];
  }

  async function change(item, label) {
    try {
      await post("judge", { mode: "review", verdicts: [{ key: item.key, label }] });
      toast(label === null ? "Label withdrawn" : `Now ${label ? "liked" : "disliked"}`);
      load();
    } catch (error) {
      toast(`Not saved: ${error.message}`, 8000);
    }
  }

  load();
  return { keys: {}, undone: load, leave() {} };
}
