// Shows what goes over a socket: rows that the kernel tells, of which only those in sight are in the
// page; a whole message is asked for when it is opened.

const ROW = 22; // px
const MOST = 5000; // rows that are kept here
const SPARE = 6; // rows above and below those in sight
const NARROW = 760; // px below which a message stands under the rows
const SLIM = 520; // px below which there is no room for connection and size
const WIDE = 1100; // px from which on all columns stay beside a message
const REPORT_AFTER = 5000; // ms after which an update is answered again
const SILENT_AFTER = 10000; // ms without a word from the kernel, which has a beat of 2 s
const CHILDREN = 200; // entries of a list that are shown at once
const SIGNS = ["↓", "↑", "•", "⋮"];
const NAMES = ["received", "sent", "event", "left out"];
const GAP = 3;

const STYLE = `
.rxi { --bg: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --ink: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #1f2328));
  --line: rgba(127,127,127,.32); --soft: rgba(127,127,127,.09); --chosen: #dbeafe;
  --muted: #57606a; --in: #0b5cad; --out: #8a4200; --event: #6b3f8f; --bad: #b3261e;
  --key: #6b3f8f; --text: #116329; --number: #0550ae; --word: #8a4200; --accent: #0b5cad;
  --mono: var(--jp-code-font-family, ui-monospace, SFMono-Regular, Menlo, Consolas, monospace);
  position: relative; color: var(--ink); background: var(--bg); border: 1px solid var(--line);
  border-radius: 6px; font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow: hidden; margin: 2px 0; max-width: 100%; }
.rxi.dark { --chosen: #1d3a5f; --muted: #a3abb4; --in: #79b8ff; --out: #ffb870; --event: #d2a8ff;
  --bad: #ff9a92; --key: #d2a8ff; --text: #7ee787; --number: #79c0ff; --word: #ffb870;
  --accent: #79b8ff; }
.rxi * { box-sizing: border-box; }
.rxi button, .rxi select, .rxi input, .rxi textarea { font: inherit; font-size: 12px; color: inherit;
  background: var(--bg); border: 1px solid rgba(127,127,127,.6); border-radius: 4px; margin: 0;
  padding: 2px 8px; min-height: 24px; }
.rxi button { cursor: pointer; background: var(--soft); }
.rxi button:hover { background: rgba(127,127,127,.2); }
.rxi button[aria-pressed=true] { background: var(--chosen); border-color: var(--accent); }
.rxi :focus-visible { outline: 2px solid var(--accent); outline-offset: -1px; }
.rxi-bar { display: flex; flex-wrap: wrap; gap: 4px 6px; align-items: center; padding: 6px 8px;
  border-bottom: 1px solid var(--line); background: var(--soft); }
.rxi-group { display: flex; }
.rxi-group button { border-radius: 0; margin-left: -1px; }
.rxi-group button:first-child { border-radius: 4px 0 0 4px; margin-left: 0; }
.rxi-group button:last-child { border-radius: 0 4px 4px 0; }
.rxi-bar input[type=search] { flex: 1 1 140px; min-width: 100px; }
.rxi-name { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  max-width: 45%; }
.rxi-body { display: flex; height: 340px; min-height: 140px; resize: vertical; overflow: hidden; }
.rxi-left { flex: 1 1 55%; min-width: 0; min-height: 0; display: flex; flex-direction: column; }
.rxi.narrow .rxi-body { flex-direction: column; }
.rxi-row { display: grid; height: ${ROW}px; line-height: ${ROW}px; padding: 0 8px; gap: 8px;
  grid-template-columns: 88px 12px 30px 56px minmax(40px, 110px) minmax(0, 1fr);
  font-family: var(--mono); font-size: 12px; white-space: nowrap; cursor: default; }
.rxi.narrow .rxi-row { grid-template-columns: 88px 12px 24px 48px minmax(30px, 76px) minmax(0, 1fr); }
.rxi.opened:not(.narrow):not(.wide) .rxi-row {
  grid-template-columns: 88px 12px minmax(30px, 76px) minmax(0, 1fr); }
.rxi.opened:not(.narrow):not(.wide) .rxi-row > .num { display: none; }
.rxi.slim .rxi-row { grid-template-columns: 88px 12px minmax(30px, 64px) minmax(0, 1fr); }
.rxi.slim .rxi-row > .num { display: none; }
.rxi-row > span { overflow: hidden; text-overflow: ellipsis; }
.rxi-row > .num { text-align: right; color: var(--muted); font-variant-numeric: tabular-nums; }
.rxi-row > .at, .rxi-row > .topic { color: var(--muted); }
.rxi-head { font: 12px/${ROW}px system-ui, sans-serif; color: var(--muted);
  border-bottom: 1px solid var(--line); flex: none; padding-right: 20px; }
.rxi-rows { flex: 1 1 auto; overflow-y: scroll; position: relative; overflow-anchor: none; }
.rxi-rows .rxi-row { position: absolute; left: 0; right: 0; }
.rxi-rows .rxi-row:hover { background: var(--soft); }
.rxi-rows .rxi-row[aria-selected=true] { background: var(--chosen); }
.rxi-row.k0 .sign { color: var(--in); } .rxi-row.k1 .sign { color: var(--out); }
.rxi-row.k2 .sign, .rxi-row.k2 .topic { color: var(--event); }
.rxi-row.k2 .what { font-family: system-ui, sans-serif; }
.rxi-row.k1 { background: rgba(230,159,0,.08); }
.rxi-row.bad .what, .rxi-row.bad .sign, .rxi-row.bad .topic { color: var(--bad); }
.rxi-row.k3 { color: var(--muted); } .rxi-row.k3 .what { font-style: italic; }
.rxi-none { position: absolute; inset: 0; display: flex; align-items: center; padding: 12px;
  justify-content: center; text-align: center; color: var(--muted); }
.rxi-message { flex: 1 1 45%; min-width: 0; min-height: 0; display: flex; flex-direction: column;
  border-left: 1px solid var(--line); }
.rxi.narrow .rxi-message { border-left: 0; border-top: 1px solid var(--line); }
.rxi-about { display: flex; flex-wrap: wrap; gap: 4px 6px; align-items: center; padding: 4px 8px;
  border-bottom: 1px solid var(--line); }
.rxi-about > .what { flex: 1 1 120px; color: var(--muted); font-size: 12px; }
.rxi-whole { flex: 1 1 auto; overflow: auto; padding: 6px 10px; font: 12px/1.5 var(--mono);
  user-select: text; cursor: text; margin: 0; }
.rxi-whole pre { margin: 0; font: inherit; color: inherit; background: none; white-space: pre-wrap;
  overflow-wrap: anywhere; border: 0; padding: 0; }
.rxi-whole details { margin-left: 14px; } .rxi-whole > details { margin-left: 0; }
.rxi-whole .leaf { margin-left: 14px; white-space: pre-wrap; overflow-wrap: anywhere; }
.rxi-whole > .leaf { margin-left: 0; }
.rxi-whole summary { cursor: pointer; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  margin-left: -14px; padding-left: 14px; list-style: none; position: relative; }
.rxi-whole summary::-webkit-details-marker { display: none; }
.rxi-whole summary::before { content: "▸"; position: absolute; left: 0; color: var(--muted); }
.rxi-whole details[open] > summary::before { content: "▾"; }
.rxi-whole > details { padding-left: 14px; }
.rxi-key { color: var(--key); } .rxi-text { color: var(--text); } .rxi-number { color: var(--number); }
.rxi-word { color: var(--word); } .rxi-muted { color: var(--muted); } .rxi-bad { color: var(--bad); }
.rxi-state { display: flex; flex-wrap: wrap; gap: 2px 10px; padding: 4px 8px; font-size: 12px;
  color: var(--muted); border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
.rxi-send { display: flex; gap: 6px; padding: 6px 8px; border-top: 1px solid var(--line);
  align-items: flex-start; flex-wrap: wrap; }
.rxi-send textarea { flex: 1 1 200px; font-family: var(--mono); resize: none; line-height: 1.4;
  padding: 3px 8px; max-height: 140px; }
.rxi-send .said { flex: 1 0 100%; font-size: 12px; min-height: 17px; color: var(--muted);
  overflow-wrap: anywhere; }
.rxi .said.rxi-bad { color: var(--bad); }
.rxi.stale .rxi-body, .rxi.stale .rxi-send { opacity: .55; filter: grayscale(1); }
`;

const made = (name, style = "", text = "") => {
  const one = document.createElement(name);
  if (style) one.className = style;
  if (text) one.textContent = text;
  return one;
};
const button = (text, title, action) => {
  const one = made("button", "", text);
  one.type = "button";
  one.title = title;
  one.setAttribute("aria-label", title);
  one.addEventListener("click", action);
  return one;
};
const pressed = (one, is) => one.setAttribute("aria-pressed", String(is));
const two = (number, digits = 2) => String(number).padStart(digits, "0");
const clock = (at) => {
  const date = new Date(at);
  const seconds = `${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`;
};
const grouped = (number) => number.toLocaleString("en-US");
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = made("textarea");
    field.value = text;
    field.style.cssText = "position:fixed;opacity:0";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
};

// --- a message as a tree

class Numeral {
  constructor(source) {
    this.source = source; // as it was written: an order's number has more digits than a double
  }
}
const parsed = (text) =>
  JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && context?.source && String(value) !== context.source
      ? new Numeral(context.source)
      : value,
  );
const spanOf = (style, text) => made("span", style, text);
const leaf = (value) => {
  if (typeof value === "string") return spanOf("rxi-text", JSON.stringify(value));
  if (value instanceof Numeral) return spanOf("rxi-number", value.source);
  return spanOf(typeof value === "number" ? "rxi-number" : "rxi-word", String(value));
};
const isNested = (value) =>
  value !== null && typeof value === "object" && !(value instanceof Numeral);
const brief = (value) => {
  if (Array.isArray(value)) return value.length ? `[ ${grouped(value.length)} ]` : "[ ]";
  if (isNested(value)) return "{…}";
  const text = value instanceof Numeral ? value.source : JSON.stringify(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
};
const outline = (value) => {
  if (Array.isArray(value)) {
    const isShort = value.length && value.length < 5 && !value.some(isNested);
    return isShort ? `[ ${value.map(brief).join(", ")} ]` : brief(value);
  }
  const names = Object.keys(value);
  const some = names.slice(0, 4).map((name) => `${name}: ${brief(value[name])}`);
  return names.length ? `{ ${some.join(", ")}${names.length > 4 ? ", …" : ""} }` : "{ }";
};
const branch = (name, value, depth) => {
  const label = name === null ? [] : [spanOf("rxi-key", name), ": "];
  if (!isNested(value) || !Object.keys(value).length) {
    const one = made("div", "leaf");
    one.append(...label, isNested(value) ? spanOf("rxi-muted", outline(value)) : leaf(value));
    return one;
  }
  const one = made("details");
  const head = made("summary");
  head.append(...label, spanOf("rxi-muted", outline(value)));
  one.append(head);
  const names = Object.keys(value);
  let shown = 0;
  const grow = () => {
    const next = names.slice(shown, shown + CHILDREN);
    shown += next.length;
    one.append(...next.map((child) => branch(child, value[child], depth + 1)));
    if (shown === names.length) return;
    const more = button(`${grouped(names.length - shown)} more`, "show more of them", () => {
      more.remove();
      grow();
    });
    one.append(more);
  };
  one.addEventListener("toggle", () => one.open && !shown && grow());
  one.open = depth < 2 && names.length <= CHILDREN;
  if (one.open) grow();
  return one;
};

// --- the panel

// What the views of one model share: a front end may make a new view of it at any time.
const models = new Map();

function render({ model, el }) {
  const viewer = Math.random().toString(36).slice(2);
  const key = model.get("key") || viewer;
  if (!models.has(key)) models.set(key, { last: null, views: new Set() });
  const together = models.get(key);
  const before = [...together.views].pop()?.state ?? together.last;
  const state = {
    viewer,
    rows: before?.rows.slice() ?? [],
    more: before?.more ?? false,
    text: before?.text ?? "",
    kinds: new Set(before?.kinds ?? [0, 1, 2]),
    epoch: before?.epoch ?? null,
    paused: before?.paused ?? false,
    follow: before?.follow ?? true,
    chosen: before?.chosen ?? null,
    message: before?.message ?? null,
    asTree: before?.asTree ?? true,
    typed: before?.typed ?? "",
    sent: before?.sent ?? [],
    epochs: new Set(before?.epochs ?? []),
    top: before?.top ?? 0,
    about: before?.about ?? { status: "", rate: 0, hint: "" },
    height: before?.height ?? "",
  };
  let shown = []; // the rows that pass the filter
  let reported = null;
  let reportedAt = 0;
  let heardAt = performance.now();
  let inSight = true;
  let ended = false;
  let container = null;
  let isHeld = false;
  let isDue = false;
  let asksOlder = false;
  let searching = 0;
  let recalled = -1;

  const root = made("div", "rxi");
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", model.get("title"));
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // a notebook has keys of its own
  root.tabIndex = -1;
  el.setAttribute("data-rx-view", viewer);
  const style = made("style");
  style.textContent = STYLE;

  // --- the bar

  const bar = made("div", "rxi-bar");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "what is shown");
  const pause = button("pause", "hold the rows still, and keep their messages", () =>
    setPaused(!state.paused),
  );
  const follow = button("follow", "go on to the newest row", () => setFollow(!state.follow));
  const group = made("div", "rxi-group");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "kinds of rows");
  const kinds = ["received", "sent", "events"].map((name, kind) => {
    const one = button(`${SIGNS[kind]} ${name}`, `show ${name}`, () => {
      if (!state.kinds.delete(kind)) state.kinds.add(kind);
      pressed(one, state.kinds.has(kind));
      look();
    });
    pressed(one, state.kinds.has(kind));
    return one;
  });
  group.append(...kinds);
  const epochs = made("select");
  epochs.setAttribute("aria-label", "connection");
  epochs.title = "show one connection alone";
  epochs.addEventListener("change", () => {
    state.epoch = epochs.value ? Number(epochs.value) : null;
    look();
  });
  const search = made("input");
  search.type = "search";
  search.placeholder = "search in whole messages";
  search.setAttribute("aria-label", "search in whole messages");
  search.value = state.text;
  search.addEventListener("input", () => {
    state.text = search.value;
    filter();
    clearTimeout(searching);
    searching = setTimeout(look, 200);
  });
  const clear = button("clear", "let go of all rows", () => {
    state.rows = [];
    state.chosen = state.message = null;
    if (state.paused) setPaused(false);
    model.send({ kind: "clear", viewer });
    filter();
    showMessage();
  });
  bar.append(pause, follow, group, epochs, search, clear);

  // --- the rows

  const body = made("div", "rxi-body");
  if (state.height) body.style.height = state.height;
  const left = made("div", "rxi-left");
  const head = made("div", "rxi-row rxi-head");
  for (const [name, text] of Object.entries({
    at: "time", sign: "", epoch: "conn", size: "bytes", topic: "topic", what: "message",
  })) {
    const one = spanOf(name === "epoch" || name === "size" ? "num" : "", text);
    if (name === "epoch") one.title = "number of the connection";
    head.append(one);
  }
  head.setAttribute("aria-hidden", "true");
  const list = made("div", "rxi-rows");
  list.tabIndex = 0;
  list.setAttribute("role", "grid");
  list.setAttribute("aria-label", "messages and events; arrows move, Enter opens");
  list.setAttribute("aria-colcount", "6");
  const space = made("div");
  const none = made("div", "rxi-none");
  list.append(space, none);
  left.append(head, list);
  const pool = [];

  const rowAt = (place) => {
    if (!pool[place]) {
      const one = made("div");
      one.setAttribute("role", "row");
      for (const name of ["at", "sign", "num", "num", "topic", "what"]) {
        const cell = spanOf(name, "");
        cell.setAttribute("role", "gridcell");
        one.append(cell);
      }
      pool[place] = one;
      list.append(one);
    }
    return pool[place];
  };
  const isSelecting = () => {
    const chosen = document.getSelection();
    return Boolean(chosen && !chosen.isCollapsed && list.contains(chosen.anchorNode));
  };
  const paint = () => {
    isDue = false;
    if (ended || isSelecting()) return;
    space.style.height = `${shown.length * ROW}px`;
    if (state.follow) list.scrollTop = shown.length * ROW;
    state.top = list.scrollTop;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const count = Math.ceil((list.clientHeight || 300) / ROW) + 2 * SPARE;
    const some = shown.slice(first, first + count);
    list.setAttribute("aria-rowcount", String(shown.length));
    let active = "";
    some.forEach((row, place) => {
      const [number, at, kind, epoch, size, topic, text, bad] = row;
      const one = rowAt(place);
      one.hidden = false;
      one.style.display = "";
      one.className = `rxi-row k${kind}${bad ? " bad" : ""}`;
      one.style.top = `${(first + place) * ROW}px`;
      one.dataset.number = number;
      one.id = `rxi-${viewer}-${place}`;
      one.setAttribute("aria-rowindex", String(first + place + 1));
      const isChosen = number === state.chosen;
      one.setAttribute("aria-selected", String(isChosen));
      if (isChosen) active = one.id;
      const texts = [
        kind === GAP ? "" : clock(at), bad ? "✕" : SIGNS[kind], epoch ?? "",
        size === null ? "" : grouped(size), topic, text,
      ];
      texts.forEach((said, cell) => {
        if (one.children[cell].textContent !== String(said)) one.children[cell].textContent = said;
      });
      one.children[1].setAttribute("aria-label", NAMES[kind]);
    });
    for (let place = some.length; place < pool.length; place++) pool[place].style.display = "none";
    if (active) list.setAttribute("aria-activedescendant", active);
    else list.removeAttribute("aria-activedescendant");
    none.style.display = shown.length ? "none" : "";
    none.textContent = shown.length ? "" : emptiness();
  };
  const emptiness = () => {
    const { hint, status } = state.about;
    const isFiltered = state.text || state.epoch !== null || state.kinds.size < 3;
    if (isFiltered && !/^0 received, 0 sent, 0 events$/.test(status)) {
      return "nothing that is kept passes this filter";
    }
    return hint ? `nothing yet: ${hint}` : "nothing yet";
  };
  const draw = () => {
    if (isDue || ended) return;
    isDue = true;
    requestAnimationFrame(paint);
  };
  const passes = (row) => {
    const [, , kind, epoch, , topic, text] = row;
    if (kind === GAP) return !state.text;
    if (!state.kinds.has(kind) || (state.epoch !== null && epoch !== state.epoch)) return false;
    if (!state.text || state.rows.isAnswer) return true;
    return `${topic} ${text}`.toLowerCase().includes(state.text.toLowerCase());
  };
  const filter = () => {
    shown = state.rows.filter(passes);
    draw();
  };
  const look = () => {
    clearTimeout(searching);
    state.rows.isAnswer = false;
    filter();
    const newest = state.rows.length ? Math.floor(state.rows[state.rows.length - 1][0]) : null;
    model.send({
      kind: "look", viewer, text: state.text, kinds: [...state.kinds].map((one) => NAMES[one]),
      epoch: state.epoch, paused: state.paused, until: newest, like: before?.viewer ?? null,
    });
  };

  const setPaused = (is) => {
    state.paused = is;
    showPause();
    look();
    holdOutput();
  };
  const showPause = () => {
    pressed(pause, state.paused);
    pause.textContent = state.paused ? "go on" : "pause";
    pause.title = state.paused ? "go on with what is new" : "hold the rows still, and keep their messages";
    pause.setAttribute("aria-label", pause.title);
    showAbout();
  };
  const setFollow = (is) => {
    state.follow = is;
    pressed(follow, is);
    draw();
  };
  list.addEventListener("scroll", () => {
    const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - ROW;
    const isUp = list.scrollTop < state.top - 1;
    if (state.follow && isUp && !isAtEnd) setFollow(false);
    state.top = list.scrollTop;
    if (list.scrollTop < ROW && state.more && !asksOlder && state.rows.length && !state.follow) {
      asksOlder = true;
      model.send({ kind: "older", viewer, before: Math.ceil(state.rows[0][0]) });
    }
    draw();
  });

  // What somebody looks at stays where it is, whatever comes or goes around it.
  const anchorNumber = () => state.chosen ?? shown[Math.floor(list.scrollTop / ROW)]?.[0] ?? null;
  const addRows = (content) => {
    const came = content.rows;
    for (const row of came) if (row[3] !== null) noteEpoch(row[3]);
    const anchor = state.follow ? null : anchorNumber();
    const offset = anchor === null ? 0 : offsetOf(anchor);
    if (content.new) {
      state.rows = came;
      state.more = content.more;
    } else {
      if (content.skipped) {
        const at = came[0][0] - 0.5;
        const text = `${grouped(content.skipped)} more came too fast to be shown one by one; pause to see them`;
        state.rows.push([at, 0, GAP, null, null, "", text, 0]);
      }
      for (const row of came) state.rows.push(row);
    }
    state.rows.isAnswer = true;
    const excess = state.rows.length - MOST;
    if (excess > 0 && !state.follow && !state.paused && list.scrollTop < excess * ROW) {
      setPaused(true); // what somebody reads is not taken away
      return;
    }
    if (excess > 0) {
      state.rows.splice(0, excess);
      state.more = true;
    }
    shown = state.rows.filter(passes);
    if (anchor !== null) keepPlace(anchor, offset);
    draw();
  };
  const placeOf = (number) => {
    const place = shown.findIndex((row) => row[0] >= number);
    return place < 0 ? shown.length - 1 : place;
  };
  const offsetOf = (number) => placeOf(number) * ROW - list.scrollTop;
  const keepPlace = (number, offset) => {
    space.style.height = `${shown.length * ROW}px`;
    const inside = offset > -ROW && offset < list.clientHeight;
    list.scrollTop = placeOf(number) * ROW - (inside ? offset : list.clientHeight / 2);
    state.top = list.scrollTop;
  };
  const addOlder = (content) => {
    asksOlder = false;
    const first = shown[0]?.[0];
    const offset = first === undefined ? 0 : offsetOf(first);
    state.rows = [...content.rows, ...state.rows].slice(0, MOST);
    state.rows.isAnswer = true;
    state.more = content.more;
    shown = state.rows.filter(passes);
    if (first !== undefined) keepPlace(first, offset);
    draw();
  };
  const noteEpoch = (epoch) => {
    if (!state.epochs.has(epoch)) {
      state.epochs.add(epoch);
      showEpochs();
    }
  };
  const showEpochs = () => {
    const some = [...state.epochs].sort((one, other) => one - other).slice(-50);
    const all = made("option", "", "all connections");
    all.value = "";
    epochs.replaceChildren(
      all,
      ...some.map((epoch) => {
        const one = made("option", "", `connection ${epoch}`);
        one.value = String(epoch);
        return one;
      }),
    );
    epochs.value = state.epoch === null ? "" : String(state.epoch);
  };

  // --- choosing and opening

  const choose = (place, opens) => {
    const row = shown[Math.min(Math.max(place, 0), shown.length - 1)];
    if (!row) return;
    state.chosen = row[0];
    setFollow(false);
    const top = shown.indexOf(row) * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    state.top = list.scrollTop;
    if ((opens || state.message) && row[2] !== GAP) open(row);
    draw();
  };
  const open = (row) => {
    state.message = { row, text: null };
    showMessage();
    model.send({ kind: "open", viewer, number: row[0] });
    holdOutput();
  };
  list.addEventListener("click", (event) => {
    const one = event.target.closest(".rxi-row");
    if (!one || isSelecting()) return;
    choose(shown.findIndex((row) => row[0] === Number(one.dataset.number)), true);
  });
  list.addEventListener("keydown", (event) => {
    const place = shown.findIndex((row) => row[0] === state.chosen);
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const start = place < 0 ? shown.length : place;
    const to = {
      ArrowDown: place < 0 ? shown.length - 1 : place + 1, ArrowUp: start - 1,
      PageDown: start + page, PageUp: start - page, Home: 0, End: shown.length - 1,
    }[event.key];
    if (to !== undefined) choose(to, false);
    else if (event.key === "Enter" && place >= 0) choose(place, true);
    else if (event.key === "Escape" && state.message) close();
    else return;
    event.preventDefault();
  });

  // --- a whole message

  const message = made("section", "rxi-message");
  message.setAttribute("aria-label", "the whole message");
  const about = made("div", "rxi-about");
  const what = spanOf("what", "");
  const asTree = button("tree", "show it as a tree", () => setTree(true));
  const asText = button("text", "show it as it came", () => setTree(false));
  const tabs = made("div", "rxi-group");
  tabs.append(asTree, asText);
  const copy = button("copy", "copy the whole message", async () => {
    await copied(wholeText());
    copy.textContent = "copied";
    setTimeout(() => (copy.textContent = "copy"), 1500);
  });
  const close = () => {
    state.message = null;
    showMessage();
    holdOutput();
    list.focus();
  };
  about.append(what, tabs, copy, button("✕", "close the message", close));
  const whole = made("div", "rxi-whole");
  whole.tabIndex = 0;
  message.append(about, whole);
  message.addEventListener("keydown", (event) => event.key === "Escape" && close());
  const wholeText = () => {
    const { text, json } = state.message ?? {};
    const isBinary = state.message?.isBinary;
    return state.asTree && json && isBinary ? JSON.stringify(JSON.parse(json), null, 2) : text || json || "";
  };
  const setTree = (is) => {
    state.asTree = is;
    showMessage();
  };
  const showMessage = () => {
    const opened = state.message;
    message.style.display = opened ? "" : "none";
    root.classList.toggle("opened", Boolean(opened));
    if (!opened) return draw();
    const [, at, kind, epoch, size, topic] = opened.row;
    const parts = [
      `${SIGNS[kind]} ${NAMES[kind]}`, clock(at), epoch === null ? "" : `connection ${epoch}`,
      size === null ? "" : `${grouped(size)} bytes`, topic,
    ];
    what.textContent = parts.filter(Boolean).join(" · ");
    tabs.style.display = opened.json ? "" : "none";
    pressed(asTree, state.asTree);
    pressed(asText, !state.asTree);
    copy.disabled = opened.text === null;
    whole.replaceChildren();
    if (opened.error) {
      whole.append(made("div", "rxi-bad", opened.error));
      return draw();
    }
    if (opened.text === null) {
      whole.append(made("div", "rxi-muted", "…"));
      return draw();
    }
    if (opened.note) whole.append(made("div", "rxi-muted", opened.note));
    if (kind === 2) whole.append(made("pre", "", opened.text));
    if (opened.json && state.asTree) whole.append(branch(null, parsed(opened.json), 0));
    else if (kind !== 2) whole.append(made("pre", "", opened.text));
    draw();
  };

  // --- how much there is, and a line to send from

  const about2 = made("div", "rxi-state");
  const said = spanOf("", "");
  const rate = spanOf("", "");
  const held = spanOf("", "");
  held.setAttribute("role", "status");
  about2.append(said, rate, held);
  const showAbout = () => {
    said.textContent = state.about.status;
    const { rate: each } = state.about;
    rate.textContent = each ? `${grouped(each >= 10 ? Math.round(each) : each)}/s received` : "";
    held.textContent = state.paused ? "paused: what comes is counted, and not shown" : "";
  };

  const form = made("form", "rxi-send");
  const line = made("textarea");
  line.rows = 1;
  line.value = state.typed;
  line.placeholder = model.get("sends_json") ? "send JSON" : "send a message";
  line.setAttribute("aria-label", line.placeholder);
  line.spellcheck = false;
  const outcome = made("div", "said");
  outcome.setAttribute("role", "status");
  const say = (text, isBad = false) => {
    outcome.textContent = text;
    outcome.classList.toggle("rxi-bad", isBad);
  };
  const check = () => {
    state.typed = line.value;
    line.style.height = "";
    line.style.height = `${Math.min(140, line.scrollHeight + 2)}px`;
    const text = line.value.trim();
    const needs = model.get("sends_json");
    if (!text || !(needs || /^[[{]/.test(text))) return say("");
    try {
      JSON.parse(text);
      say("JSON");
    } catch (error) {
      say(`no JSON: ${error.message}${needs ? "" : "; it goes as text"}`, needs);
    }
  };
  line.addEventListener("input", check);
  line.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "ArrowUp" && (recalled >= 0 || !line.value) && state.sent.length) {
      recalled = Math.min(recalled + 1, state.sent.length - 1);
      line.value = state.sent[state.sent.length - 1 - recalled];
      check();
      event.preventDefault();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!line.value) return;
    say("sending …");
    model.send({ kind: "send", viewer, text: line.value });
  });
  const onSent = ({ error, text }) => {
    if (error) return say(`✕ ${error}`, true);
    say(text);
    if (line.value) state.sent = [...state.sent.slice(-19), line.value];
    recalled = -1;
    line.value = state.typed = "";
    line.style.height = "";
  };
  const submit = button("send", "send it (Enter)", () => form.requestSubmit());
  form.append(line, submit, outcome);
  if (!model.get("can_send")) form.style.display = "none";

  // --- whether it is seen, used, and whether the kernel is there

  const reportVisibility = (isUpdate) => {
    const visible = inSight && !ended && document.visibilityState !== "hidden";
    const now = performance.now();
    if (visible === reported && !(visible && isUpdate && now - reportedAt > REPORT_AFTER)) return;
    if (visible && !reported) heardAt = now;
    reported = visible;
    reportedAt = now;
    model.send({ kind: visible ? "visible" : "hidden", viewer });
  };
  const holdOutput = () => {
    const is = !ended && (root.contains(document.activeElement) || state.paused || Boolean(state.message));
    if (is === isHeld) return;
    isHeld = is;
    model.send({ kind: "hold", viewer, held: is });
  };
  const fade = (text) => {
    if (root.classList.contains("stale") === Boolean(text)) return;
    root.classList.toggle("stale", Boolean(text));
    for (const one of [submit, clear, pause]) one.disabled = Boolean(text);
    if (text) held.textContent = text;
    else showAbout();
  };
  const asOf = () => clock(Date.now() - (performance.now() - heardAt)).slice(0, 8);
  const tick = () => {
    if (!ended && reported && performance.now() - heardAt > SILENT_AFTER) {
      fade(`as of ${asOf()}; the kernel does not answer`);
    }
  };
  const lookAtComm = async () => {
    try {
      const real = await model.widget_manager?.get_model?.(model.get("key"));
      if (real && real.comm_live === false) fade(`as of ${asOf()}; the kernel is gone`);
    } catch {
      // a front end without a registry
    }
  };
  const onMessage = (content) => {
    heardAt = performance.now();
    fade("");
    if (content.kind === "beat") return reportVisibility(true);
    if (content.viewer !== viewer) return;
    if (content.status !== undefined) {
      state.about = { status: content.status, rate: content.rate, hint: content.hint };
      showAbout();
    }
    if (content.kind === "rows") addRows(content);
    else if (content.kind === "older") addOlder(content);
    else if (content.kind === "sent") onSent(content);
    else if (content.kind === "message" && state.message?.row[0] === content.number) {
      const isBinary = Boolean(content.json) && /^[0-9a-f]{2}( |$)/.test(content.text ?? "");
      state.message = { ...content, row: state.message.row, isBinary };
      showMessage();
    }
    if (!shown.length) draw();
    reportVisibility(true);
  };

  const shade = () => {
    const named = document.body.dataset.jpThemeLight;
    const rgb = getComputedStyle(root).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
    const light = (rgb[0] * 299 + rgb[1] * 587 + rgb[2] * 114) / 1000;
    root.classList.toggle("dark", named ? named === "false" : light < 128);
  };

  // --- a front end that puts a new view of the model in the place of this one

  const leave = () => {
    end();
    el.remove();
  };
  const end = () => {
    if (ended) return;
    state.height = body.style.height;
    together.last = state;
    ended = true;
    clearInterval(timer);
    clearTimeout(searching);
    sight.disconnect();
    sizes.disconnect();
    themes.disconnect();
    replaced.disconnect();
    document.removeEventListener("visibilitychange", onVisibility);
    document.removeEventListener("selectionchange", draw);
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", lookAtComm);
    together.views.delete(me);
    model.send({ kind: "left", viewer });
    el.replaceChildren();
    el.removeAttribute("data-rx-view");
  };
  const replaced = new MutationObserver(() => {
    if (el.isConnected || !container?.isConnected || ended) return;
    for (const one of container.childNodes) if (one.nodeType === 3) one.textContent = "";
    if (container.querySelector("[data-rx-view]")) leave();
    else container.append(el); // until that is there
  });
  const settle = () => {
    if (container || !el.parentElement || !el.isConnected) return;
    container = el.parentElement;
    replaced.observe(container, { childList: true });
    for (const view of together.views) if (view !== me && view.isIn(container)) view.leave();
    if (!state.follow) list.scrollTop = before?.top ?? 0;
  };
  const me = { leave, state, isIn: (place) => place === container };

  body.append(left, message);
  root.append(style, bar, body, about2, form);
  el.append(root);
  pressed(follow, state.follow);
  showEpochs();
  showPause();
  showMessage();
  shade();
  together.views.add(me);
  root.addEventListener("focusin", holdOutput);
  root.addEventListener("focusout", () => setTimeout(holdOutput, 50));
  const onVisibility = () => reportVisibility(false);
  document.addEventListener("visibilitychange", onVisibility);
  document.addEventListener("selectionchange", draw);
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", lookAtComm);
  const sight = new IntersectionObserver((entries) => {
    settle();
    inSight = entries[entries.length - 1].isIntersecting;
    reportVisibility(false);
    draw();
  });
  sight.observe(root);
  const sizes = new ResizeObserver(() => {
    root.classList.toggle("narrow", root.clientWidth < NARROW);
    root.classList.toggle("slim", root.clientWidth < SLIM);
    root.classList.toggle("wide", root.clientWidth >= WIDE);
    draw();
  });
  sizes.observe(root);
  sizes.observe(body);
  const themes = new MutationObserver(shade);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  const timer = setInterval(tick, 1000);
  shown = state.rows.filter(passes);
  if (before) look();
  draw();
  lookAtComm();
  return end;
}

export default { render };
