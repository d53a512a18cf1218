// Filters with their state in the address, words for the cells of the matrix, copying of commands. No page needs it to be read.
(() => {
  "use strict";
  const $ = (selector, from) => Array.from((from || document).querySelectorAll(selector));
  const form = document.getElementById("filters");
  const table = document.querySelector(".matrix table");

  function copied(button, text) {
    const told = () => { button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500); };
    const byHand = () => {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      const chosen = getSelection();
      chosen.removeAllRanges();
      chosen.addRange(range);
      document.execCommand("copy");
      told();
    };
    if (navigator.clipboard && isSecureContext) navigator.clipboard.writeText(text).then(told, byHand); else byHand();
  }
  for (const code of $(".again code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "copy";
    button.setAttribute("aria-label", "copy the command");
    button.setAttribute("aria-live", "polite");
    code.after(button);
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".again button");
    if (button) copied(button, button.previousElementSibling.textContent);
  });

  function show(id) {
    const place = id && document.getElementById(id);
    if (!place) return;
    if (place.closest("[hidden]")) { form.reset(); apply(); }
    for (let one = place; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    place.scrollIntoView();
  }

  if (!form || !table) return;
  const rows = Array.from(table.tBodies[0].rows);
  const heads = Array.from(table.tHead.rows[0].cells).slice(1);
  const names = rows.map((row) => row.cells[0].textContent);
  const checks = heads.map((head) => head.textContent);
  const bad = new Set(["f", "b", "x"]);
  const output = form.querySelector("output");
  const boxes = $("#recipes > details");
  const told = $("#failures > article");
  const others = $(".rates tbody tr");
  let codes = null;

  function asked() {
    const data = new FormData(form);
    const text = (name) => String(data.get(name) || "").trim().toLowerCase();
    return { recipe: text("recipe"), check: text("check"), status: data.get("status"), suite: data.get("suite"), failing: data.has("failing") };
  }
  const has = (text, words) => words.split(/\s+/).every((word) => text.toLowerCase().includes(word));

  let narrow = false;
  function apply() {
    const want = asked();
    codes = codes || rows.map((row) => Array.from(row.cells).slice(1).map((cell) => cell.className));
    const wanted = (code) => (!want.status || code === want.status) && (!want.failing || bad.has(code));
    const choosing = Boolean(want.status || want.failing);
    const columns = checks.map((name) => has(name, want.check));
    const shown = rows.map((row, r) => has(names[r], want.recipe) && (!want.suite || row.dataset.suite === want.suite)
      && (!choosing || codes[r].some((code, c) => columns[c] && wanted(code))));
    if (choosing) columns.forEach((yes, c) => { columns[c] = yes && codes.some((of, r) => shown[r] && wanted(of[c])); });
    rows.forEach((row, r) => { row.hidden = !shown[r]; });
    const now = columns.some((yes) => !yes);
    if (now || narrow) {
      heads.forEach((head, c) => { head.hidden = !columns[c]; });
      rows.forEach((row) => { for (let c = 0; c < columns.length; c += 1) row.cells[c + 1].hidden = !columns[c]; });
    }
    narrow = now;
    boxes.forEach((box, r) => { box.hidden = !shown[r]; });
    others.forEach((row) => { row.hidden = !shown[Number(row.dataset.r)]; });
    told.forEach((one) => {
      one.hidden = !shown[Number(one.dataset.r)] || !columns[checks.indexOf(one.dataset.check)];
    });
    const count = (list) => list.filter(Boolean).length;
    output.textContent = `${count(shown)} of ${rows.length} recipes, ${count(columns)} of ${checks.length} checks shown`;
    return want;
  }
  function remember(want) {
    const state = new URLSearchParams();
    for (const [name, value] of Object.entries(want)) if (value) state.set(name, value === true ? "1" : value);
    const text = state.toString();
    history.replaceState(null, "", text ? `#?${text}` : location.pathname + location.search);
  }
  function restore() {
    const hash = location.hash;
    if (!hash.startsWith("#?")) { show(decodeURIComponent(hash.slice(1))); return; }
    const state = new URLSearchParams(hash.slice(2));
    form.reset();
    for (const field of form.elements) {
      if (!field.name || !state.has(field.name)) continue;
      if (field.type === "checkbox") field.checked = state.get(field.name) === "1"; else field.value = state.get(field.name);
    }
    apply();
  }
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => remember(apply()), 60); });
  form.addEventListener("reset", () => setTimeout(() => remember(apply())));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", restore);

  const reasons = $("#reasons > li").map((item) => item.textContent);
  const words = Object.fromEntries($("option", form.elements.status).map((one) => [one.value, one.textContent.replace(/^\d+ /, "")]));
  table.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("td");
    if (!cell || cell.title) return;
    const said = [checks[cell.cellIndex - 1], words[cell.className] || "not run"];
    if (cell.dataset.w) said.push(reasons[Number(cell.dataset.w)]);
    cell.title = `${names[rows.indexOf(cell.parentElement)]}\n${said.join(": ")}`;
  });
  form.hidden = false;
  output.textContent = `${rows.length} recipes, ${checks.length} checks`;
  restore();
})();
