// The panel: counters, figures, three histograms with the two limits, strategy, learning.
import { counted, el, onState, percent, post, three, toast, whole } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 74;
const BASE = 60;
const NAMES = {
  band: "inside the limits", uncertain: "the least certain", diverse: "unlike the seen",
  random: "any, at random", top: "the likely best", disagree: "where heads differ",
};

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bars(plot, counts, kind, top) {
  const step = WIDTH / counts.length;
  counts.forEach((count, at) => {
    if (!count) return;
    const height = Math.max(1.5, (BASE - 4) * count / top);
    plot.append(svg("rect", { class: kind, x: at * step + 0.5, y: BASE - height, width: Math.max(step - 1, 1), height }));
  });
}

function draw(plot, series, limits) {
  plot.replaceChildren();
  const top = Math.max(1, ...series.flatMap(([counts]) => counts));
  plot.append(svg("rect", { class: "inside", x: limits[0] * WIDTH, y: 0, width: Math.max(0, limits[1] - limits[0]) * WIDTH, height: BASE }));
  series.forEach(([counts, kind]) => bars(plot, counts, kind, top));
  plot.append(svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: BASE, y2: BASE }));
  for (const limit of limits) plot.append(svg("line", { class: "limit", x1: limit * WIDTH, x2: limit * WIDTH, y1: 0, y2: BASE }));
  for (const [x, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const text = svg("text", { x: x * WIDTH, y: HEIGHT - 3, "text-anchor": anchor });
    text.textContent = String(x);
    plot.append(text);
  }
}

function sum(counts) {
  return counts.reduce((a, b) => a + b, 0);
}

function spark(box, history) {
  box.replaceChildren();
  for (const name of ["accuracy", "auc"]) {
    const values = history.map((entry) => entry[name]).filter((value) => value !== null);
    if (values.length < 2) continue;
    const points = values.map((value, at) => `${(4 + 92 * at / (values.length - 1)).toFixed(1)} ${(38 - 34 * Math.max(0, (value - 0.4) / 0.6)).toFixed(1)}`);
    box.append(svg("path", { class: name, d: `M${points.join("L")}`, "vector-effect": "non-scaling-stroke" }));
  }
}

export function makePanel(root) {
  const value = {};
  const count = (name, text, kind = "") => el("div", {}, el("dt", {}, text), (value[name] = el("dd", { class: kind }, "0")));
  const plots = {};
  const captions = {};
  const plot = (name, text) => {
    plots[name] = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text });
    captions[name] = el("span");
    plots[name].addEventListener("pointerdown", (event) => drag(plots[name], event));
    return el("figure", {}, el("figcaption", {}, el("span", {}, text), captions[name]), plots[name]);
  };
  const range = (name, text) => el("input", {
    type: "range", min: 0, max: 1, step: 0.01, id: name, "aria-label": text,
    oninput: () => moved(name, false), onchange: () => moved(name, true),
  });
  const low = range("low", "Lower limit");
  const high = range("high", "Upper limit");
  const shown = el("span", { class: "small" });
  let telling = 0;  // a state from before the answer would undo the click
  const follow = el("input", { type: "checkbox", id: "follow", onchange: () => {
    telling += 1;
    post("settings", { follow: follow.checked }).catch(fail).finally(() => { telling -= 1; });
  } });
  const strategy = el("select", { id: "strategy", onchange: () => post("settings", { strategy: strategy.value }).catch(fail) });
  const every = el("select", { id: "every", "aria-label": "When to learn", onchange: () => post("settings", { every: Number(every.value) }).catch(fail) },
    ...[[0, "on request"], [5, "every 5 labels"], [10, "every 10 labels"], [25, "every 25 labels"], [100, "every 100 labels"]]
      .map(([n, text]) => el("option", { value: n }, text)));
  const learn = el("button", { type: "button", class: "main", id: "retrain", onclick: () => retrain() }, "Learn now ", el("kbd", {}, "t"));
  const told = el("p", { class: "small soft", id: "told" });
  const trend = svg("svg", { class: "spark", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": "Trend of AUC and accuracy over the fits" });
  const figure = (name, text) => el("div", { class: "figure" }, (value[name] = el("b", {}, "–")), el("span", { class: "small soft" }, text));
  let holding = false;

  root.append(
    el("section", { class: "card", "aria-label": "Counters" },
      el("dl", { class: "counts" },
        count("left", "left"), count("sitting", "this sitting"),
        count("positive", "liked", "like"), count("negative", "disliked", "dislike"),
        count("trained", "learnt from"), count("vectors", "vectors"))),
    el("section", { class: "card", "aria-label": "How good it is" },
      el("div", { class: "figures" }, figure("auc", "AUC"), figure("accuracy", "accuracy"), trend),
      told,
      el("div", { class: "row learn" }, learn, every)),
    el("section", { class: "card", "aria-label": "Scores and limits" },
      plot("oof", "labelled, held out"), plot("unlabelled", "not labelled yet"), plot("sitting", "this sitting"),
      el("div", { class: "limits" }, low, high),
      el("div", { class: "row spread" }, shown, el("label", { class: "small" }, follow, "follow the head"))),
    el("section", { class: "card", "aria-label": "What to ask" },
      el("div", { class: "row" }, el("label", {}, "ask about", strategy))),
  );

  function fail(error) {
    toast(error.message);
  }

  function limits() {
    return [Number(low.value), Number(high.value)];
  }

  function moved(name, done) {
    holding = !done;
    if (name === "low" && Number(low.value) > Number(high.value)) low.value = high.value;
    if (name === "high" && Number(high.value) < Number(low.value)) high.value = low.value;
    redraw();
    if (done) post("settings", { low: Number(low.value), high: Number(high.value) }).catch(fail);
  }

  function drag(target, event) {
    const at = (e) => Math.min(1, Math.max(0, (e.clientX - target.getBoundingClientRect().left) / target.getBoundingClientRect().width));
    const start = at(event);
    const input = Math.abs(start - low.value) <= Math.abs(start - high.value) ? low : high;
    target.setPointerCapture(event.pointerId);
    const move = (e) => { input.value = at(e); moved(input.id, false); };
    const end = () => {
      target.removeEventListener("pointermove", move);
      moved(input.id, true);
    };
    move(event);
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
  }

  let now = null;

  function redraw() {
    if (!now) return;
    const [a, b] = limits();
    const h = now.histograms;
    draw(plots.oof, [[h.oof.negative, "dislike-bar"], [h.oof.positive, "like-bar over"]], [a, b]);
    draw(plots.unlabelled, [[h.unlabelled.all, "all-bar"]], [a, b]);
    draw(plots.sitting, [[h.sitting.negative, "dislike-bar"], [h.sitting.positive, "like-bar over"]], [a, b]);
    captions.oof.textContent = `${sum(h.oof.positive)} liked, ${sum(h.oof.negative)} not`;
    captions.unlabelled.textContent = whole(sum(h.unlabelled.all));
    captions.sitting.textContent = now.session.n
      ? `${percent(now.session.accuracy)} right${now.session.auc === null ? "" : `, AUC ${three(now.session.auc)}`}` : "–";
    shown.textContent = `limits ${a.toFixed(2)} to ${b.toFixed(2)}`;
  }

  onState((state) => {
    now = state;
    value.left.textContent = whole(state.left);
    value.sitting.textContent = whole(state.sitting);
    value.positive.textContent = whole(state.positive);
    value.negative.textContent = whole(state.negative);
    value.trained.textContent = state.trained_on ? `${state.trained_on[1]} + ${state.trained_on[0]}` : "–";
    value.vectors.textContent = state.vectors === state.images ? "all" : percent(state.vectors / Math.max(1, state.images));
    const fit = state.fit || {};
    value.auc.textContent = three(fit.auc);
    value.accuracy.textContent = percent(fit.accuracy);
    spark(trend, state.history);
    told.textContent = words(state, fit);
    learn.disabled = state.training || !state.positive || !state.negative;
    learn.firstChild.textContent = state.training ? "Learning… " : "Learn now ";
    if (!strategy.options.length) strategy.append(...state.strategies.map((name) => el("option", { value: name }, NAMES[name] || name)));
    if (document.activeElement !== strategy) strategy.value = state.settings.strategy;
    if (document.activeElement !== every) {
      if (![...every.options].some((option) => Number(option.value) === state.settings.every)) {
        every.append(el("option", { value: state.settings.every }, `every ${counted(state.settings.every, "label")}`));
      }
      every.value = state.settings.every;
    }
    if (!telling) follow.checked = state.settings.follow;
    if (!holding) {
      low.value = state.settings.low;
      high.value = state.settings.high;
    }
    redraw();
  });
}

function words(state, fit) {
  if (state.problem) return state.problem;
  const { clashes } = state.loading;
  const both = clashes ? ` ${counted(clashes, "image lies", "images lie")} on both sides, unlabelled until you judge ${clashes > 1 ? "them" : "it"}.` : "";
  const { skipped } = state.loading;
  const unread = skipped ? ` ${counted(skipped, "file")} cannot be read as ${skipped > 1 ? "images" : "an image"}.` : "";
  return lesson(state, fit) + both + unread;
}

function lesson(state, fit) {
  if (!state.positive || !state.negative) return "One liked and one disliked image, and it begins to learn.";
  if (!state.fit) return `Learning begins once these images have vectors; ${counted(state.waiting, "labelled one waits for its own", "labelled ones wait for theirs")}.`;
  if (fit.auc === null) return "A first guess. From four of each on, figures are held out.";
  const between = fit.auc_low === null ? "" : `AUC between ${three(fit.auc_low)} and ${three(fit.auc_high)}. `;
  return `${between}${change(state.history)}Learnt in ${fit.seconds.toFixed(2)} s, held out in 5 folds.`;
}

function change(history) {
  const [before, now] = history.slice(-2);
  if (!now || before.auc === null || now.auc === null || before.accuracy === null) return "";
  const signed = (value, digits) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
  return `Since the fit before: AUC ${signed(now.auc - before.auc, 3)}, accuracy ${signed(100 * (now.accuracy - before.accuracy), 0)} %. `;
}

export async function retrain() {
  try {
    await post("retrain");
  } catch (error) {
    toast(error.message);
  }
}
