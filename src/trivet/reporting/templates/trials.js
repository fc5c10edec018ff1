"use strict";
// The table of all trials: sorted and filtered here, selected in parallel lines, one trial's curve and configuration at a click.
const explore = (box, content) => {
  const STATES = content.states, UNIT = content.unit, PAGE = 20, LINES = 1500;
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElementNS(/^(svg|path|line|text|g|rect)$/.test(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
    for (const [key, value] of Object.entries(attributes)) key.startsWith("on") ? node.addEventListener(key.slice(2), value) : node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const cell = (column, row) => (Array.isArray(column) ? column[row] : column.at[row] < 0 ? null : column.words[column.at[row]]);
  const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(5))) : value);
  const shown = (value) => (value === null || value === undefined ? "–" : short(typeof value === "number" ? value * content.factor : value));

  const rows = [];
  content.searches.forEach((search, at) => {
    let from = 0;
    search.number.forEach((number, row) => {
      const size = search.curves ? search.curves.sizes[row] : 0;
      rows.push({ search, at, row, number, state: search.state[row], value: search.value[row], from, size });
      from += size;
    });
  });
  const keys = [...new Set(content.searches.flatMap((search) => Object.keys(search.params)))];
  const others = [...new Set(content.searches.flatMap((search) => Object.keys(search.others)))];
  const columns = [
    ...(content.searches.length > 1 ? [["Phase", (one) => one.search.name]] : []),
    ["Trial", (one) => one.number], ["State", (one) => STATES[one.state]], [content.metric, (one) => (one.value === null ? null : one.value * content.factor)],
    ...others.map((name) => [name, (one) => one.search.others[name]?.[one.row] ?? null]),
    ...(UNIT ? [[`${UNIT[0].toUpperCase()}${UNIT.slice(1)}s`, (one) => one.search.step[one.row]], [`Best ${UNIT}`, (one) => one.search.best_step[one.row]]] : []),
    ...keys.map((key) => [key, (one) => (key in one.search.params ? cell(one.search.params[key], one.row) : null)]),
    ["Reason", (one) => one.search.reasons[one.search.reason[one.row]] || null],
  ];
  const value = columns.findIndex(([name]) => name === content.metric);
  const every = () => new Set(rows.map((one) => one.state)), FAIL = STATES.indexOf("FAIL");
  const LOOKS = { COMPLETE: ["--blue", 0.55], PRUNED: ["--orange", 0.3], INFEASIBLE: ["--purple", 0.5] };
  const view = { states: every(), phase: "", column: value, low: "", high: "", sort: value, up: !content.maximize, page: 0, brushes: new Map(), found: rows };

  const passes = (one) => {
    if (!view.states.has(one.state) || (view.phase !== "" && one.at !== Number(view.phase))) return false;
    if (view.low !== "" || view.high !== "") {
      const got = columns[view.column][1](one), number = typeof got === "string" && got !== "" && !Number.isNaN(Number(got)) ? Number(got) : got;
      if (typeof number === "number") { if ((view.low !== "" && number < Number(view.low)) || (view.high !== "" && number > Number(view.high))) return false; }
      else if (got === null || !String(got).includes(view.low || view.high)) return false;
    }
    if (!view.brushes.size) return true;
    if (one.at !== lines.at) return false;
    for (const [axis, [low, high]] of view.brushes) {
      const place = lines.place(one, axis);
      if (place < 0 || place < low || place > high) return false;
    }
    return true;
  };
  const { compare } = new Intl.Collator(undefined, { numeric: true });  // made once: ten thousand comparisons with localeCompare take a second
  const order = (a, b) => {
    const [x, y] = [columns[view.sort][1](a), columns[view.sort][1](b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const way = typeof x === "number" && typeof y === "number" ? x - y : compare(String(x), String(y));
    return (view.up ? way : -way) || a.at - b.at || a.number - b.number;
  };

  // Filters
  const input = (label, node) => make("label", {}, `${label} `, node);
  const choice = (options, change) => {
    const node = make("select", { onchange: () => change(node.value) });
    options.forEach(([key, text]) => node.append(make("option", { value: key }, text)));
    return node;
  };
  const field = (key) => make("input", { size: 8, "aria-label": key === "low" ? "from" : "to", oninput: (event) => { view[key] = event.target.value.trim(); refresh(); } });
  const bar = make("div", { class: "filters" });
  if (content.searches.length > 1) bar.append(input("Phase", choice([["", "all"], ...content.searches.map((search, at) => [at, search.name])], (key) => { view.phase = key; refresh(); })));
  STATES.forEach((name, state) => {
    if (!view.states.has(state)) return;
    const node = make("input", { type: "checkbox", onchange: () => { node.checked ? view.states.add(state) : view.states.delete(state); refresh(); } });
    node.checked = true;
    bar.append(make("label", {}, node, ` ${name.toLowerCase()}`));
  });
  const which = choice(columns.map(([name], at) => [at, name]), (key) => { view.column = Number(key); refresh(); });
  which.value = String(value);
  const told = make("span", { class: "note", "aria-live": "polite" });
  bar.append(input("Range of", which), input("from", field("low")), input("to", field("high")));
  bar.append(make("button", { type: "button", onclick: () => { view.brushes.clear(); bar.querySelectorAll("input").forEach((node) => (node.type === "checkbox" ? (node.checked = true) : (node.value = ""))); Object.assign(view, { states: every(), low: "", high: "", phase: "" }); bar.querySelectorAll("select").forEach((node) => { if (node !== which) node.value = ""; }); refresh(); } }, "Show all"), told);

  // Parallel lines of one search: drag along an axis to select, click it to let go.
  const lines = { at: content.searches.length - 1, place: (one, axis) => one.search.axes[axis].at[one.row] };
  const canvas = make("canvas", { role: "img", "aria-label": "Trials as parallel lines over their parameters; drag along an axis to select." });
  const holder = make("div", { class: "parallel" }, canvas);
  const picker = choice(content.searches.map((search, at) => [at, search.name]), (key) => { lines.at = Number(key); view.brushes.clear(); refresh(); });
  picker.value = String(lines.at);
  const BODY = 198, BOTTOM = 40, SIDE = 40, APART = 62, LINE = 13; // pixels; axes stand no closer, the holder scrolls
  let TOP = 46, HEIGHT = TOP + BODY + BOTTOM; // as high as the names of the axes need
  const across = (axis, n) => SIDE + (n < 2 ? 0 : (axis * (canvas.clientWidth - 2 * SIDE)) / (n - 1));
  const down = (place) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * place) / 1000;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const score = (one) => (one.value === null ? null : (content.maximize ? 1 : -1) * one.value);

  // A name in lines no wider than there is room: broken at dots and brackets, else at other marks, else anywhere.
  const wrapped = (pen, text, room) => {
    const lines = [""], fits = (part) => pen.measureText(part).width <= room;
    const put = (part, marks) => {
      if (fits(lines.at(-1) + part)) { lines[lines.length - 1] += part; return; }
      if (fits(part.trim())) { lines.push(part.trim()); return; }
      if (marks.length) part.split(marks[0]).forEach((piece) => put(piece, marks.slice(1)));
      else [...part].forEach((char) => put(char, [/(?!)/]));
    };
    put(text, [/(?<=[./])|(?= \()/, /(?<=[_,= -])/]);
    return lines.filter((line) => line !== "");
  };
  const fitted = (pen, text, room) => {
    let part = text;
    while (part.length > 1 && pen.measureText(part === text ? part : `${part}…`).width > room) part = part.slice(0, -1);
    return part === text ? text : `${part}…`;
  };
  const onPaper = (pen, text, x, y) => {
    const wide = pen.measureText(text).width, left = { left: x, right: x - wide, center: x - wide / 2 }[pen.textAlign], ink = pen.fillStyle;
    pen.fillStyle = style("--paper");
    pen.fillRect(left - 2, y - 10, wide + 4, 13);
    pen.fillStyle = ink;
    pen.fillText(text, x, y);
  };

  const draw = () => {
    const search = content.searches[lines.at], axes = [...search.axes.keys()], n = axes.length + 1;
    canvas.style.minWidth = `${2 * SIDE + APART * axes.length}px`;
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
    if (!width) return;
    const pen = canvas.getContext("2d"), font = "11px system-ui, sans-serif", gap = across(1, n) - across(0, n);
    pen.font = font;
    // Names stand in two rows, every other axis in the upper one, so that each has the room of two axes.
    const heads = [...search.axes, { label: content.metric, ends: ["worse", "best"] }];
    const names = heads.map(({ label }, axis) => wrapped(pen, label, axis === 0 || axis === n - 1 ? gap + SIDE - 8 : 2 * gap - 8));
    const rows_of = (odd) => Math.max(0, ...names.filter((_, axis) => axis % 2 === odd).map((lines) => lines.length));
    const upper = rows_of(0);
    TOP = 7 + LINE * (upper + rows_of(1)) + 13;
    HEIGHT = TOP + BODY + BOTTOM;
    canvas.style.height = `${HEIGHT}px`;
    canvas.width = width * ratio;
    canvas.height = HEIGHT * ratio;
    pen.scale(ratio, ratio);
    const own = rows.filter((one) => one.at === lines.at && one.value !== null && one.state !== FAIL);
    const scores = own.map(score).sort((a, b) => a - b), low = scores[Math.floor(scores.length * 0.1)], high = scores.at(-1);
    lines.height = (one) => (high > low ? Math.max(0, Math.min(1000, (1000 * (score(one) - low)) / (high - low))) : 500);
    const chosen = new Set(view.found), step = Math.max(1, Math.ceil(own.length / LINES));
    const stroke = (one, color, alpha) => {
      pen.strokeStyle = color;
      pen.globalAlpha = alpha;
      pen.beginPath();
      [...axes.map((axis) => lines.place(one, axis)), lines.height(one)].forEach((place, axis) => {
        const y = place < 0 ? HEIGHT - 8 : down(place);
        axis ? pen.lineTo(across(axis, n), y) : pen.moveTo(across(axis, n), y);
      });
      pen.stroke();
    };
    const ranked = own.slice().sort((a, b) => score(a) - score(b));
    ranked.forEach((one, at) => { if (!chosen.has(one) && at % step === 0) stroke(one, style("--pale"), 0.15); });
    ranked.forEach((one, at) => { if (chosen.has(one) && (at % step === 0 || at > ranked.length - 50)) { const [color, alpha] = LOOKS[STATES[one.state]]; stroke(one, style(color), alpha); } });
    pen.globalAlpha = 1;
    pen.font = font;
    heads.forEach(({ ends }, axis) => {
      const x = across(axis, n);
      pen.strokeStyle = style("--muted");
      pen.beginPath();
      pen.moveTo(x, TOP);
      pen.lineTo(x, HEIGHT - BOTTOM);
      pen.stroke();
      pen.fillStyle = style("--ink");
      pen.textAlign = axis === 0 ? "left" : axis === n - 1 ? "right" : "center";
      const at = axis === 0 ? 2 : axis === n - 1 ? width - 2 : x;
      const first = axis % 2 ? 11 + LINE * upper : 11 + LINE * (upper - names[axis].length); // the upper row ends where the lower begins
      names[axis].forEach((line, row) => pen.fillText(line, at, first + LINE * row));
      pen.fillStyle = style("--muted");
      onPaper(pen, fitted(pen, ends[1], gap - 4), at, TOP - 6);
      onPaper(pen, fitted(pen, ends[0], gap - 4), at, HEIGHT - BOTTOM + 14);
      if (view.brushes.has(axis)) {
        const [from, to] = view.brushes.get(axis);
        pen.fillStyle = style("--green");
        pen.globalAlpha = 0.35;
        pen.fillRect(x - 7, down(to), 14, down(from) - down(to));
        pen.globalAlpha = 1;
      }
    });
  };
  let drag = null;
  const where = (event) => {
    const area = canvas.getBoundingClientRect(), n = content.searches[lines.at].axes.length;
    const axis = Math.round(((event.clientX - area.left - SIDE) / (canvas.clientWidth - 2 * SIDE)) * n);
    return [axis, Math.max(0, Math.min(1000, (1000 * (HEIGHT - BOTTOM - (event.clientY - area.top))) / (HEIGHT - TOP - BOTTOM))), n];
  };
  canvas.addEventListener("pointerdown", (event) => { const [axis, place, n] = where(event); if (axis >= 0 && axis < n) { drag = { axis, place }; canvas.setPointerCapture(event.pointerId); } });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const place = where(event)[1];
    view.brushes.set(drag.axis, [Math.min(drag.place, place) - 1, Math.max(drag.place, place) + 1]);
    refresh();
  });
  canvas.addEventListener("pointerup", (event) => { if (drag && Math.abs(where(event)[1] - drag.place) < 15) { view.brushes.delete(drag.axis); refresh(); } drag = null; });

  // The table
  const body = make("tbody"), heads = make("tr"), pages = make("div", { class: "filters" });
  columns.forEach(([name], at) => {
    const head = make("th", { scope: "col" });
    head.append(make("button", { type: "button", onclick: () => { view.up = view.sort === at ? !view.up : at !== value || !content.maximize; view.sort = at; refresh(); } }, name));
    heads.append(head);
  });
  const fill = () => {
    const last = Math.max(0, Math.ceil(view.found.length / PAGE) - 1);
    view.page = Math.min(view.page, last);
    body.replaceChildren(...view.found.slice(view.page * PAGE, (view.page + 1) * PAGE).map((one) => {
      const line = make("tr", { tabindex: 0, onclick: () => open(one), onkeydown: (event) => { if (event.key === "Enter") open(one); } });
      columns.forEach(([, get]) => { const got = get(one); line.append(make("td", typeof got === "number" ? { class: "number" } : {}, got === null || got === undefined ? "–" : short(got))); });
      return line;
    }));
    [...heads.cells].forEach((head, at) => (at === view.sort ? head.setAttribute("aria-sort", view.up ? "ascending" : "descending") : head.removeAttribute("aria-sort")));
    const turn = (text, by) => { const node = make("button", { type: "button", onclick: () => { view.page += by; fill(); } }, text); node.disabled = view.page + by < 0 || view.page + by > last; return node; };
    pages.replaceChildren(turn("Back", -1), make("span", { class: "note" }, `page ${view.page + 1} of ${last + 1}`), turn("Next", 1));
  };
  const refresh = () => {
    view.found = rows.filter(passes).sort(order);
    view.page = 0;
    told.textContent = `${view.found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} trial${rows.length === 1 ? "" : "s"}`;
    fill();
    draw();
  };

  // One trial
  const decoded = new Map();
  const curve = (one) => {
    const kept = one.search.curves;
    if (!kept || !one.size) return [];
    if (!decoded.has(one.search)) {
      const bytes = Uint8Array.from(atob(kept.values), (char) => char.charCodeAt(0));
      decoded.set(one.search, new DataView(bytes.buffer));
    }
    const data = decoded.get(one.search), points = [];
    for (let i = 0; i < one.size; i += 1) {
      const coded = data.getUint16(2 * (one.from + i), true);
      if (coded) points.push([kept.steps ? kept.steps[one.from + i] : i + 1, (kept.low + ((coded - 1) / 65534) * (kept.high - kept.low)) * content.factor]);
    }
    return points;
  };
  const picture = (one) => {
    const best = rows.find((other) => other.search === one.search && other.number === one.search.best);
    const parts = [[best && best !== one ? curve(best) : [], "pale"], [curve(one), "blue"]];
    const all = parts.flatMap(([points]) => points);
    if (!all.length) return make("p", { class: "note" }, "This trial reported no curve.");
    const [W, H, L, B] = [520, 220, 52, 28], xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const X = (x) => L + ((W - L - 8) * (x - x0)) / (x1 - x0 || 1), Y = (y) => H - B - ((H - B - 12) * (y - y0)) / (y1 - y0 || 1);
    const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Curve of trial ${one.number}` });
    one.search.rungs.filter((step) => step >= x0 && step <= x1).forEach((step) => svg.append(make("line", { x1: X(step), x2: X(step), y1: 8, y2: H - B, stroke: "var(--orange)", "stroke-dasharray": "2 4" })));
    parts.forEach(([points, color]) => {
      svg.append(make("path", { d: points.map(([x, y], i) => `${i ? "L" : "M"}${X(x)} ${Y(y)}`).join(""), fill: "none", stroke: `var(--${color})`, "stroke-width": 2 }));
      if (points.length === 1) svg.append(make("rect", { x: X(points[0][0]) - 3, y: Y(points[0][1]) - 3, width: 6, height: 6, fill: `var(--${color})` }));
    });
    const word = (x, y, text, anchor) => svg.append(make("text", { x, y, "text-anchor": anchor, fill: "var(--muted)", "font-size": 11 }, text));
    word(L - 5, 16, shorter(y1), "end"); word(L - 5, H - B, shorter(y0), "end"); word(L, H - 10, x0, "start"); word(W - 8, H - 10, x1, "end"); word((L + W) / 2, H - 10, UNIT, "middle");
    return svg;
  };
  const about_picture = (one) => {
    const best = rows.find((other) => other.search === one.search && other.number === one.search.best), steps = [one, best].filter(Boolean).flatMap(curve).map(([x]) => x);
    const pale = best && best !== one && curve(best).length ? ["Pale: the best trial."] : [];
    return [...pale, ...(one.search.rungs.some((step) => step >= Math.min(...steps) && step <= Math.max(...steps)) ? [`Dotted: ${UNIT}s where trials were stopped.`] : [])].join(" ");
  };
  const shorter = (number) => String(Number(number.toPrecision(4)));
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);
  const detail = make("div", { class: "detail", tabindex: -1 });
  const open = (one) => {
    const set = Object.entries(one.search.params).map(([key, column]) => [key, cell(column, one.row)]).filter(([, got]) => got !== null);
    const list = make("dl");
    set.forEach(([key, got]) => list.append(make("dt", {}, make("code", {}, key)), make("dd", {}, make("code", {}, String(got)))));
    const reason = one.search.reasons[one.search.reason[one.row]];
    const about = `${one.search.name}, trial ${one.number}: ${STATES[one.state].toLowerCase()}${reason ? ` (${reason})` : ""}, ${content.metric} ${shown(one.value)}${UNIT ? ` after ${shorter(one.search.step[one.row] ?? 0)} ${UNIT}${one.search.step[one.row] === 1 ? "" : "s"}` : ""}`;
    const close = make("button", { type: "button", onclick: () => detail.replaceChildren() }, "Close");
    const parts = [make("p", {}, make("strong", {}, about), " ", close), make("div", { class: "sides" }, make("div", {}, picture(one), make("p", { class: "note" }, about_picture(one))), list)];
    if (one.search.command) {
      const grouped = [...set].sort(([a], [b]) => a.includes(".") - b.includes("."));
      const words = grouped.map(([key, got]) => quoted(`${key}=${got}`)).join(" ");
      parts.push(make("div", { class: "command" }, make("pre", { tabindex: 0 }, make("code", {}, one.search.command[0] + words + one.search.command[1]))));
    }
    detail.replaceChildren(...parts);
    detail.querySelectorAll(".command").forEach(copyable);
    detail.scrollIntoView({ block: "nearest" });
    detail.focus({ preventScroll: true });
  };

  // What the colours of the lines mean, of those that are there.
  const legend = () => {
    const drawn = new Set(rows.filter((one) => one.value !== null).map((one) => STATES[one.state]));
    const told = [["COMPLETE", "blue: ran to the end"], ["PRUNED", "orange: stopped early"], ["INFEASIBLE", "purple: broke a constraint"]].filter(([state]) => drawn.has(state)).map(([, words]) => words);
    if (content.searches.some((search) => search.axes.some((axis) => axis.at.includes(-1)))) told.push("below the axes: not active");
    const words = told.join("; ");
    return words ? `${words[0].toUpperCase()}${words.slice(1)}.` : "";
  };
  if (content.searches.some((search) => search.axes.length > 1)) {
    box.append(make("p", { class: "note" }, `Drag along an axis to select, click it to let go. ${legend()} `, ...(content.searches.length > 1 ? [picker] : [])), holder);
  }
  box.append(bar, detail, make("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": "All trials" }, make("table", { class: "trials" }, make("thead", {}, heads), body)), pages);
  refresh();
  new ResizeObserver(draw).observe(holder);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
};
