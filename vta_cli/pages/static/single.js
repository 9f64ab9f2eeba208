// One image at a time: judge, skip, go back, look closely.
import { el, get, onState, picture, post, shared, three, toast } from "./api.js";

const AHEAD = 4;

export function single(root) {
  let queue = [];
  const shown = [];
  let at = -1;
  let asking = false;
  let stale = false;
  let wanted = null;
  let failed = false;
  let fitted = shared.state?.fit?.at ?? null;

  const image = el("img", { alt: "", draggable: "false" });
  const verdict = el("span", { class: "verdict", hidden: true });
  const empty = el("p", { class: "empty", hidden: true });
  const stage = el("div", { class: "stage", id: "stage" }, image, verdict, empty);
  const name = el("span", { class: "name" });
  const probability = el("span", { class: "probability", id: "probability" });
  const needle = el("i");
  const meter = el("span", { class: "meter", role: "img", "aria-label": "Probability that you like it" }, needle);
  const no = el("button", { type: "button", class: "no", id: "dislike", onclick: () => judge(0) }, "Dislike ", el("kbd", {}, "1"));
  const skip = el("button", { type: "button", id: "skip", onclick: () => forward(true) }, "Skip ", el("kbd", {}, "2"));
  const yes = el("button", { type: "button", class: "yes", id: "like", onclick: () => judge(1) }, "Like ", el("kbd", {}, "3"));
  root.replaceChildren(el("div", { class: "single" }, stage,
    el("div", { class: "caption" }, name, probability, meter,
      el("button", { type: "button", title: "Look closely (z)", onclick: () => zoom() }, "Zoom ", el("kbd", {}, "z"))),
    el("div", { class: "verdicts" }, no, skip, yes)));

  const current = () => shown[at] ?? null;

  function draw() {
    const item = current();
    stage.classList.remove("zoomed");
    stage.removeAttribute("tabindex");
    image.style.width = "";
    image.hidden = !item;
    empty.hidden = Boolean(item);
    meter.hidden = !item || item.score === null;
    for (const button of [no, skip, yes]) button.disabled = !item;
    verdict.hidden = !item || item.label === null;
    if (!item) {
      probability.textContent = "";
      name.textContent = "";
      image.removeAttribute("src");
      empty.textContent = waiting();
      return;
    }
    if (image.dataset.key !== item.key || failed) {
      failed = false;
      image.dataset.key = item.key;
      image.src = picture(item.key);
    }
    image.alt = `Image ${item.name}`;
    name.textContent = `\u200e${item.name}`;
    name.title = item.name;
    probability.textContent = item.score === null ? "no opinion yet" : `estimated probability ${three(item.score)}`;
    if (item.score !== null) needle.style.left = `${100 * item.score}%`;
    if (item.label !== null) {
      verdict.textContent = item.label ? "liked" : "disliked";
      verdict.className = `verdict ${item.label ? "like" : "dislike"}`;
    }
  }

  function waiting() {
    const state = shared.state;
    if (!state || !["done", "failed", "stopped"].includes(state.loading.step)) return "Looking for images…";
    return state.images ? "Every image is labelled. Look through your labels under Review." : "There are no images here.";
  }

  async function fill() {
    if (asking) return;
    asking = true;
    try {
      const known = [...queue, ...shown.slice(-8)].map((item) => item.key);
      let found;
      do {
        stale = false;
        found = await post("next", { next: AHEAD, exclude: known });
      } while (stale);
      for (const item of found.next) {
        if (queue.some((other) => other.key === item.key) || current()?.key === item.key) continue;
        queue.push(item);
        new Image().src = picture(item.key);
      }
      if (!current() && queue.length) forward(false);
    } catch (error) {
      toast(error.message);
    } finally {
      asking = false;
    }
    draw();
  }

  function forward(skipped) {
    if (at < shown.length - 1) {
      at += 1;
    } else if (queue.length) {
      shown.push(queue.shift());
      at = shown.length - 1;
    } else if (skipped === false || current()?.label !== null) {
      at = shown.length;
    }
    draw();
    if (queue.length < 2) fill();
  }

  async function refresh() {
    const item = current();
    if (!item) return;
    try {
      item.score = (await get("item", { key: item.key })).score;
      if (item === current() && !stage.classList.contains("zoomed")) draw();
    } catch { /* the image on view keeps its old score */ }
  }

  function back() {
    if (at > 0) {
      at -= 1;
      draw();
    }
  }

  async function judge(label) {
    const item = current();
    if (!item) return;
    const before = item.label;
    item.label = label;
    forward(false);
    try {
      await post("judge", { mode: "single", verdicts: [{ key: item.key, label }] });
    } catch (error) {
      item.label = before;
      at = shown.indexOf(item);
      draw();
      toast(`Not saved: ${error.message}`, 8000);
    }
  }

  function zoom() {
    const item = current();
    if (!item) return;
    if (stage.classList.toggle("zoomed")) {
      image.src = picture(item.key, "full");
      stage.tabIndex = 0;
    } else {
      image.style.width = "";
      image.src = picture(item.key);
      stage.removeAttribute("tabindex");
    }
  }

  // Its own pixels, or twice what fits if that is more: a small picture must not shrink.
  function enlarge() {
    if (!stage.classList.contains("zoomed") || !image.naturalWidth) return;
    const fit = Math.min(stage.clientWidth / image.naturalWidth, stage.clientHeight / image.naturalHeight);
    image.style.width = `${Math.round(image.naturalWidth * Math.max(1, 2 * fit))}px`;
    stage.scrollTo((stage.scrollWidth - stage.clientWidth) / 2, (stage.scrollHeight - stage.clientHeight) / 2);
  }

  image.addEventListener("load", enlarge);
  addEventListener("resize", enlarge);
  image.addEventListener("error", () => {
    if (!image.getAttribute("src")) return;
    failed = true;
    image.hidden = true;
    empty.hidden = false;
    empty.textContent = "This picture cannot be shown: its file went away or was changed. Go on with 2.";
  });

  stage.addEventListener("dblclick", zoom);
  let from = null;
  stage.addEventListener("pointerdown", (event) => { from = event.pointerType === "touch" ? [event.clientX, event.clientY] : null; });
  stage.addEventListener("pointerup", (event) => {
    if (!from || stage.classList.contains("zoomed")) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (Math.abs(dx) > 70 && Math.abs(dx) > 1.5 * Math.abs(dy)) judge(dx > 0 ? 1 : 0);
    from = null;
  });

  const forget = onState((state) => {
    const now = state.fit?.at ?? null;
    const { strategy, low, high } = state.settings;
    const sought = `${strategy} ${low} ${high}`;
    // what was learnt, or asked for, changes what should come next; the image on view stays
    const changed = now !== fitted || (wanted !== null && sought !== wanted);
    fitted = now;
    wanted = sought;
    if (changed) {
      queue = [];
      stale = asking; // what is on its way was chosen by the old wishes
      fill();
      refresh();
    }
    if (!current() && !queue.length && state.left) fill();
    if (!current()) draw();
  });

  draw();
  fill();
  return {
    keys: {
      1: () => judge(0), 2: () => forward(true), 3: () => judge(1), z: zoom,
      ArrowLeft: back, ArrowRight: () => forward(true),
    },
    undone(items) {
      const item = items.at(-1);
      if (!item) return;
      const seen = shown.findIndex((other) => other.key === item.key);
      if (seen >= 0) {
        shown[seen] = { ...shown[seen], ...item };
        at = seen;
      } else {
        shown.push(item);
        at = shown.length - 1;
      }
      draw();
    },
    leave() {
      removeEventListener("resize", enlarge);
      forget();
    },
  };
}
