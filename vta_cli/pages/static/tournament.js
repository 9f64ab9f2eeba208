// A few images at a time, any number advance; rounds grow stricter, and their result is tiers.
import { counted, el, get, percent, picture, post, toast } from "./api.js";

export function tournament(root) {
  let cup = null;
  let later = 0;
  const picked = new Set();

  async function load() {
    try {
      show((await get("tournament")));
    } catch (error) {
      toast(error.message);
    }
  }

  function show(found) {
    cup = found;
    picked.clear();
    clearTimeout(later);
    if (cup.waiting) {
      root.replaceChildren(el("p", { class: "empty" }, "The images of the tournament are being looked for…"));
      later = setTimeout(load, 1000);
    } else if (!cup.on) form();
    else if (cup.done) result();
    else heat();
  }

  function form() {
    const number = (id, text, value, max) => [el("label", { for: id }, text, el("input", { type: "number", id, value, min: 2, max }))];
    const rates = el("input", { type: "text", id: "rates", value: "50, 5, 2" });
    const begin = el("button", { type: "submit", class: "main", id: "begin" }, "Begin");
    const box = el("form", { class: "form card" },
      el("h2", {}, "Tournament"),
      el("p", { class: "soft" }, "A few images at a time. Pick those that should go on: any number, or none. Each round is stricter; the round in which an image stops is its tier."),
      ...number("entrants", "images", Math.min(100, Math.max(4, cup?.askable ?? 100)), 100000), ...number("per-heat", "shown together", 4, 16),
      el("label", { for: "rates" }, "kept after each round, % of all", rates), begin);
    box.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const body = {
          images: Number(box.querySelector("#entrants").value), per_heat: Number(box.querySelector("#per-heat").value),
          targets: rates.value.split(/[,;\s]+/).filter(Boolean).map((text) => Number(text.replace("%", "")) / 100),
        };
        show((await post("tournament/begin", body)).cup);
      } catch (error) {
        toast(error.message);
      }
    });
    root.replaceChildren(box);
  }

  function heat() {
    const tiles = cup.items.map((item, at) => {
      const word = el("b");
      const button = el("button", { type: "button", class: "tile", "aria-pressed": "false", "data-key": item.key, onclick: () => pick(at) },
        el("img", { src: picture(item.key), alt: `Image ${item.name}`, onerror: load }),
        el("span", { class: "tag" }, el("span", {}, el("kbd", {}, String(at + 1))), word));
      return button;
    });
    const bar = el("div", { class: "rate", role: "img", "aria-label": `advanced ${percent(cup.rate)}, aim ${percent(cup.target)}` });
    const fill = el("i");
    const aim = el("u");
    bar.append(fill, aim);
    fill.style.width = `${100 * (cup.rate ?? 0)}%`;
    aim.style.left = `${100 * cup.target}%`;
    const steer = cup.rate === null || cup.shown < 8 ? "" : cup.rate > cup.target * 1.25 ? "be stricter" : cup.rate < cup.target * 0.75 ? "be milder" : "on course";
    root.replaceChildren(
      el("div", { class: "bar" },
        el("b", { id: "round" }, `Round ${cup.round + 1} of ${cup.rounds}`),
        el("span", { class: "soft" }, `${counted(cup.left, "image")} left in it`),
        el("span", {}, `advanced ${percent(cup.rate)}, aim ${percent(cup.target)}`), bar,
        el("b", {}, steer)),
      el("div", { class: "heat", "data-n": cup.items.length }, ...tiles),
      el("div", { class: "row spread under" },
        el("span", { class: "soft small" }, "Number keys pick, Enter goes on, u undoes."),
        el("button", { type: "button", class: "main", id: "advance", onclick: advance })));
    word();
  }

  function pick(at) {
    const item = cup?.items?.[at];
    if (!item || cup.done) return;
    if (!picked.delete(item.key)) picked.add(item.key);
    const tile = root.querySelector(`[data-key="${item.key}"]`);
    tile.setAttribute("aria-pressed", String(picked.has(item.key)));
    tile.querySelector(".tag b").textContent = picked.has(item.key) ? "goes on" : "";
    word();
  }

  function word() {
    root.querySelector("#advance").replaceChildren(picked.size ? `${picked.size} of ${cup.items.length} go on ` : "None goes on ", el("kbd", {}, "Enter"));
  }

  async function advance() {
    if (!cup?.items?.length || cup.done) return;
    try {
      const shown = cup.items.map((item) => item.key);
      show((await post("tournament/advance", { shown, winners: [...picked] })).cup);
    } catch (error) {
      toast(error.slug === "stale-heat" ? "Another page was faster." : `Not saved: ${error.message}`);
      if (error.slug === "stale-heat") load();
    }
  }

  function result() {
    root.replaceChildren(
      el("div", { class: "card" }, el("h2", { id: "finished" }, "The tournament is over"),
        el("dl", { class: "tiers" }, ...cup.tiers.map((n, tier) => el("div", {}, el("dt", {}, `tier ${tier}`), el("dd", {}, String(n))))),
        el("p", { class: "soft" }, "Tier 0 stopped in the first round. The tiers are a label file for vta train."),
        el("div", { class: "row" },
          el("a", { href: "/api/tiers.csv", download: "tiers.csv" }, "Download tiers.csv"),
          el("button", { type: "button", id: "as-labels", onclick: asLabels }, "Use as labels: tier 1 and above liked"),
          el("button", { type: "button", id: "again", onclick: form }, "New tournament"))),
      el("ul", { class: "tiles" }, ...cup.best.map((item) => el("li", {}, el("div", { class: "tile" },
        el("img", { src: picture(item.key, "thumb"), alt: `Image ${item.name}`, loading: "lazy" }),
        el("span", { class: "tag" }, el("b", {}, `tier ${item.tier}`)))))));
    root.querySelector(".card").style.marginBottom = "12px";
  }

  async function asLabels() {
    try {
      const done = await post("tournament/labels");
      toast(`${counted(done.judged, "label")} saved`);
    } catch (error) {
      toast(error.message);
    }
  }

  load();
  const keys = { Enter: advance };
  for (let at = 0; at < 9; at += 1) keys[at + 1] = () => pick(at);
  return { keys, undone: load, leave: () => clearTimeout(later) };
}
