// Any picture, dropped, pasted or chosen: its score, the members' opinions, the nearest labels.
import { drop, el, picture, percent, three, toast } from "./api.js";

export function makeDrop() {
  const hint = document.getElementById("drop-hint");
  const dialog = document.getElementById("dropped");
  const file = document.getElementById("file");
  let depth = 0;

  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    depth -= 1;
    hint.hidden = depth > 0 ? hint.hidden : true;
  });
  addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    hint.hidden = true;
    judge(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const found = [...(event.clipboardData?.files ?? [])][0];
    if (found) judge(found);
  });
  document.getElementById("judge-file").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) judge(file.files[0]);
    file.value = "";
  });

  async function judge(found) {
    if (!found) return;
    toast("Looking at it…", 0);
    try {
      show(found, await drop(found));
      toast("");
    } catch (error) {
      toast(error.message, 6000);
    }
  }

  function near(title, items) {
    return [el("h3", {}, title), items.length
      ? el("ul", { class: "near" }, ...items.map((item) => el("li", {},
        el("img", { src: picture(item.key, "thumb"), alt: `Image ${item.name}`, title: item.name }),
        el("span", {}, `cosine ${item.similarity.toFixed(2)}`))))
      : el("p", { class: "soft" }, "none yet")];
  }

  function show(found, judged) {
    const url = URL.createObjectURL(found);
    const preview = el("img", { src: url, alt: "The picture you gave" });
    preview.addEventListener("load", () => URL.revokeObjectURL(url));
    preview.addEventListener("error", () => {
      URL.revokeObjectURL(url);
      preview.replaceWith(el("p", { class: "unseen soft" }, "This browser cannot show the format; vta can read it."));
    });
    const members = Object.entries(judged.members).flatMap(([name, score]) => [
      el("span", {}, name), el("meter", { min: 0, max: 1, value: score, "aria-label": name }), el("span", { class: "probability" }, percent(score))]);
    dialog.replaceChildren(
      el("h2", { id: "dropped-title" }, judged.score === null ? "No head yet: label a few images first" : `Score ${three(judged.score)}`),
      el("p", { class: "soft" }, `${found.name || "pasted picture"}, ${judged.width} × ${judged.height}${judged.known ? ", one of the images here" : ""}`),
      el("div", { class: "dropped" }, preview, el("div", {}, el("div", { class: "members" }, ...members), ...near("Nearest liked", judged.liked), ...near("Nearest disliked", judged.disliked))),
      el("form", { method: "dialog" }, el("button", { class: "main" }, "Close ", el("kbd", {}, "Esc"))));
    if (!dialog.open) dialog.showModal();
  }
}
