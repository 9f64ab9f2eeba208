// Modes, keys, help, and what is said of the work going on behind.
import { el, onState, post, shared, start, toast, whole } from "./api.js";
import { makeDrop } from "./drop.js";
import { grid } from "./grid.js";
import { pairs } from "./pairs.js";
import { makePanel, retrain } from "./panel.js";
import { review } from "./review.js";
import { single } from "./single.js";
import { tournament } from "./tournament.js";

const MODES = { single, grid, tournament, pairs, review };
const HELP = [
  ["Single", [["1", "dislike"], ["2", "skip, it may come back"], ["3", "like"], ["← →", "back and forth"], ["z", "zoom, also by a double click"], ["swipe", "left dislikes, right likes"]]],
  ["Grid", [["click", "like, dislike, left out"], ["arrows, Space", "the same by key"], ["Enter", "take the page"]]],
  ["Tournament", [["1 … 9", "pick those that go on, any number"], ["Enter", "next images"]]],
  ["Pairs", [["1, ←", "the left one is better"], ["3, →", "the right one is better"], ["2", "neither"]]],
  ["Limits", [["drag", "the handles, or inside a histogram"], ["Tab, ← →", "the same by key"]]],
  ["Everywhere", [["u", "undo"], ["t", "learn now"], ["?", "this help"], ["drop, paste", "score any picture"]]],
];
const main = document.getElementById("main");
let mode = null;
let name = "";

function go(wanted) {
  const next = MODES[wanted] ? wanted : "single";
  if (next === name) return;
  mode?.leave();
  name = next;
  for (const button of document.querySelectorAll("#modes button")) {
    if (button.dataset.mode === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  history.replaceState(null, "", `#${name}`);
  // each mode draws into a box of its own, so that a late answer cannot draw over the next mode
  const box = el("div", { class: "mode" });
  main.replaceChildren(box);
  main.scrollTop = 0;
  mode = MODES[name](box);
}

async function undo() {
  try {
    const found = await post("undo");
    toast("Taken back");
    mode?.undone(found.items);
  } catch (error) {
    toast(error.message);
  }
}

function help() {
  const dialog = document.getElementById("help");
  const journal = shared.state ? shared.state.journal : "";
  dialog.replaceChildren(
    el("h2", { id: "help-title" }, "Keys"),
    el("div", { class: "help" }, ...HELP.map(([title, keys]) => el("section", {}, el("h3", {}, title),
      el("dl", { class: "keys" }, ...keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)]))))),
    el("p", { class: "soft small" }, `Every judgement is on the disk before the page hears back: ${journal}`),
    el("form", { method: "dialog" }, el("button", { class: "main" }, "Close ", el("kbd", {}, "Esc"))));
  dialog.showModal();
  dialog.scrollTop = 0; // the button at the end has the focus
}

const TYPING = new Set(["TEXTAREA", "SELECT"]);
const MARKS = new Set(["checkbox", "range"]); // inputs that take few keys
const SLIDING = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);

// Who picks from a list by mouse goes on with the keys of the mode, not with those of the list.
let byMouse = false;
addEventListener("pointerdown", () => { byMouse = true; }, true);
addEventListener("keydown", () => { byMouse = false; }, true);
addEventListener("change", (event) => { if (byMouse && event.target.tagName === "SELECT") event.target.blur(); });

addEventListener("keydown", (event) => {
  const target = event.target;
  const typing = TYPING.has(target.tagName)
    || (target.tagName === "INPUT" && (!MARKS.has(target.type) || (target.type === "range" && SLIDING.has(event.key))));
  if (event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector("dialog[open]")) return;
  // Enter on a button presses it, but on a tile it takes the page: Space is for the tile.
  const pressing = target.tagName === "BUTTON" && !target.classList.contains("tile");
  if ((event.key === "Enter" || event.key === " ") && (pressing || target.tagName === "A")) return;
  const common = { u: undo, t: retrain, "?": help };
  const action = mode?.keys[event.key] ?? common[event.key];
  if (!action || (event.repeat && event.key !== "ArrowRight" && event.key !== "ArrowLeft")) return;
  event.preventDefault();
  action();
});

document.getElementById("modes").append(...Object.keys(MODES).map((key) => el("button", {
  type: "button", "data-mode": key, onclick: () => go(key),
}, key[0].toUpperCase() + key.slice(1))));
document.getElementById("undo").addEventListener("click", undo);
document.getElementById("help-button").addEventListener("click", help);
addEventListener("hashchange", () => go(location.hash.slice(1)));

onState((state, before) => {
  if (before && state.notes.n > before.notes.n) toast(state.notes.last, 10000);
  document.getElementById("undo").disabled = !state.can_undo;
  const { step, done, total } = state.loading;
  const texts = {
    scan: "looking for images…",
    vectors: total ? `reading vectors ${whole(done)} of ${whole(total)}` : "looking for vectors…",
    embed: `embedding ${whole(done)} of ${whole(total)}`,
    failed: state.problem,
  };
  document.getElementById("progress").textContent = texts[step] ?? "";
  document.title = `${whole(state.left)} left · vta label`;
});

makePanel(document.getElementById("panel"));
makeDrop();
go(location.hash.slice(1));
start();
