// The filter of the page Segments: lines come and go without a reload, and the size follows them.
export function startFilter() {
  const form = document.querySelector("[data-filter]");
  if (!form) return;
  const list = form.querySelector("[data-conditions]");
  const size = document.querySelector("[data-size]");
  let wait = 0;
  let asked = new AbortController();

  // suit shows the comparisons that fit the field, and the kind of value.
  function suit(line) {
    const [field, operator] = line.querySelectorAll("select");
    const value = line.querySelector("input");
    const chosen = field.selectedOptions[0];
    for (const option of operator.options) {
      const fits = option.dataset.kind === chosen.dataset.kind && (!("noValue" in option.dataset) || "nullable" in chosen.dataset);
      option.hidden = option.disabled = !fits;
    }
    const now = [...operator.options].find((o) => o.selected && !o.disabled) ?? [...operator.options].find((o) => !o.disabled && o.value === operator.value) ?? [...operator.options].find((o) => !o.disabled);
    now.selected = true;
    const kind = chosen.dataset.kind;
    value.type = { number: "number", time: "date" }[kind] ?? "text";
    if (kind === "number") value.step = "any";
    value.readOnly = "noValue" in now.dataset;
    if (document.getElementById(chosen.value)?.tagName === "DATALIST") value.setAttribute("list", chosen.value);
    else value.removeAttribute("list");
  }

  // query is the filter as the address of a page has it.
  function query() {
    const q = new URLSearchParams(new FormData(form));
    q.delete("edit");
    return q.toString();
  }

  function changed() {
    clearTimeout(wait);
    wait = setTimeout(refresh, 200);
    list.querySelectorAll("legend").forEach((l, i) => { l.textContent = `Condition ${i + 1}`; });
  }

  async function refresh() {
    asked.abort();
    asked = new AbortController();
    size.classList.add("busy");
    try {
      const q = query();
      const answer = await fetch("/segments/size?" + q, { signal: asked.signal });
      size.innerHTML = answer.ok ? await answer.text() : "<p class=\"empty\">The size cannot be counted just now.</p>";
      for (const a of document.querySelectorAll("[data-exports] a")) {
        a.href = "/segments/export?format=" + new URL(a.href).searchParams.get("format") + "&" + q;
      }
      size.classList.remove("busy");
    } catch (e) {
      if (e.name !== "AbortError") throw e;
    }
  }

  // What is saved is what the filter says now.
  document.querySelector("[data-save]")?.addEventListener("submit", (e) => {
    for (const old of e.target.querySelectorAll("input[type=hidden]")) old.remove();
    for (const [name, value] of new URLSearchParams(query())) {
      const hidden = document.createElement("input");
      Object.assign(hidden, { type: "hidden", name, value });
      e.target.append(hidden);
    }
  });

  const blank = list.querySelector("li")?.cloneNode(true);
  if (!blank) return;
  blank.querySelector("input").value = "";
  form.querySelector("[data-add]").addEventListener("click", (e) => {
    e.preventDefault();
    const line = blank.cloneNode(true);
    list.append(line);
    suit(line);
    line.querySelector("select").focus();
    changed();
  });
  list.addEventListener("click", (e) => {
    const remove = e.target.closest("button[name=edit]");
    if (!remove) return;
    e.preventDefault();
    remove.closest("li").remove();
    (list.querySelector("li:last-child select") ?? form.querySelector("[data-add]")).focus();
    changed();
  });
  list.addEventListener("input", (e) => {
    if (e.target.name === "f") e.target.closest("li").querySelector("input").value = "";
    suit(e.target.closest("li"));
    changed();
  });
  form.querySelector("#match").addEventListener("change", changed);
  list.querySelectorAll("li").forEach(suit);
}
