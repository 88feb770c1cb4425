// Shows what the kernel draws, reports to it whether the picture is visible, and lets it rest while
// somebody reads it.

const REPORT_AFTER = 5000; // ms after which an update is answered again
const SILENT_AFTER = 10; // s without a word from the kernel, which has a beat of 2 s
const GUTTER = 104; // px of a picture before its plot
const MARGIN = 18; // and after it

const COLOURS = {
  "--rx-paper": ["--jp-layout-color0", "--vscode-editor-background"],
  "--rx-ink": ["--jp-ui-font-color1", "--vscode-editor-foreground"],
  "--rx-muted": ["--jp-ui-font-color2", "--vscode-descriptionForeground"],
  "--rx-line": ["--jp-border-color2", "--vscode-widget-border"],
};
const BUTTON =
  "font:12px system-ui,sans-serif;padding:2px 8px;border-radius:4px;cursor:pointer;" +
  "color:inherit;background:rgba(127,127,127,.12);border:1px solid rgba(127,127,127,.55)";
const UNSEEN =
  "position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%)";

// What the views of one model share: a front end may make a new view of it at any time.
const models = new Map();
const shared = (key) => {
  if (!models.has(key)) models.set(key, { last: null, held: null, inSight: true, views: new Set() });
  return models.get(key);
};

const span = (seconds) => {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (large, name, small, less) =>
    `${Math.floor(whole / large)} ${name}` +
    (Math.floor((whole % large) / small) ? ` ${Math.floor((whole % large) / small)} ${less}` : "");
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return two(60, "min", 1, "s");
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 86400 ? two(3600, "h", 60, "min") : two(86400, "d", 3600, "h");
};
const clock = (date) => date.toTimeString().slice(0, 8);
const made = (name, style = "", text = "") => {
  const one = document.createElement(name);
  one.style.cssText = style;
  one.textContent = text;
  return one;
};
const button = (text, name, action) => {
  const one = made("button", BUTTON, text);
  one.type = "button";
  one.title = name;
  one.setAttribute("aria-label", name);
  one.addEventListener("click", action);
  return one;
};

// What a widget shows above its text, whose script stands before this one.
const contentMaker = typeof contentOf === "undefined" ? null : contentOf;

function render({ model, el }) {
  const viewer = Math.random().toString(36).slice(2);
  const together = shared(model.get("key") || viewer);
  const picture = made("div", "overflow-x:auto");
  const body = made("div");
  const note = made("div", "font:12px system-ui,sans-serif;margin:2px 0");
  const spoken = made("div", UNSEEN);
  const answers = made("div");
  let container = null; // where a front end put this view
  let reported = null; // whether it was visible at the last report
  let reportedAt = 0;
  let inSight = together.inSight; // as the view was that this one replaces, until it is known
  let drawnAt = performance.now();
  let heardAt = performance.now();
  let heard = false; // whether the kernel said something since it is visible
  let isPressed = false;
  let isBehind = false; // whether there is something newer than what is shown
  let wasSelecting = false;
  let isGone = false;
  let tallest = 0;
  let ended = false;

  el.setAttribute("data-rx-view", viewer);
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", model.get("title"));
  note.setAttribute("role", "status");
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
  for (const [name, sources] of Object.entries(COLOURS)) {
    const known = sources.reduceRight((rest, one) => `var(${one}${rest ? `, ${rest}` : ""})`, "");
    const style = getComputedStyle(document.body);
    if (sources.some((one) => style.getPropertyValue(one))) el.style.setProperty(name, known);
  }

  // --- whether it is seen, and whether the kernel is there

  const reportVisibility = (isUpdate) => {
    const visible =
      inSight && !together.held && !ended && document.visibilityState !== "hidden";
    const now = performance.now();
    const isDue = visible && isUpdate && now - reportedAt > REPORT_AFTER;
    if (visible === reported && !isDue) return;
    if (visible && !reported) {
      heardAt = now;
      heard = false;
    }
    reported = visible;
    reportedAt = now;
    model.send({ kind: visible ? "visible" : "hidden", viewer });
  };

  const hear = () => {
    heardAt = performance.now();
    heard = true;
    if (isSilent()) fade("", "");
  };
  const isSilent = () => note.dataset.about === "silence" || note.dataset.about === "busy";

  const fade = (text, about) => {
    if (note.dataset.about === about) return;
    note.dataset.about = about;
    note.textContent = text;
    const isStale = about !== "" && about !== "busy";
    body.style.opacity = isStale ? ".5" : "";
    body.style.filter = isStale ? "grayscale(1)" : "";
    for (const one of el.querySelectorAll("button")) one.disabled = isStale;
  };

  const asOf = () => clock(new Date(Date.now() - (performance.now() - heardAt)));

  const lookAtComm = async () => {
    let real = null;
    try {
      real = await model.widget_manager?.get_model?.(model.get("key"));
    } catch {
      return; // a front end without a registry
    }
    if (!real || real.comm_live === undefined) return;
    isGone = !real.comm_live;
    if (isGone) fade(`as of ${asOf()}; the kernel is gone`, "gone");
    else if (note.dataset.about === "gone") fade("", "");
  };

  const listen = () => {
    if (isGone || !reported) return;
    if ((performance.now() - heardAt) / 1000 < SILENT_AFTER) return;
    // Without an answer since it is in sight, a long cell may keep the kernel from hearing of that.
    if (heard) fade(`as of ${asOf()}; the kernel does not answer`, "silence");
    else fade(`as of ${asOf()}; the kernel is busy, or gone`, "busy");
  };

  // --- what is shown

  const isSelecting = () => {
    const chosen = document.getSelection();
    return Boolean(chosen && !chosen.isCollapsed && picture.contains(chosen.anchorNode));
  };
  const isHeld = () => Boolean(together.held) || isPressed || isSelecting();

  const draw = () => {
    hear();
    if (isHeld()) {
      isBehind = true;
    } else {
      isBehind = false;
      drawnAt = performance.now();
      const focused = picture.contains(document.activeElement) && document.activeElement.dataset;
      picture.innerHTML = model.get("html");
      keepHeight();
      if (focused?.act) {
        const same = `[data-act="${focused.act}"][data-value="${focused.value ?? ""}"]`;
        picture.querySelector(same)?.focus();
      }
      if (spoken.textContent !== model.get("status")) spoken.textContent = model.get("status");
    }
    reportVisibility(true);
  };

  // What is below does not move when a line goes and comes back.
  const keepHeight = () => {
    const needed = picture.firstElementChild?.getBoundingClientRect().height ?? 0;
    tallest = Math.max(tallest, needed);
    if (needed) picture.style.minHeight = `${tallest}px`;
  };

  // What is "for 12 s" now is "for 13 s" in a second: no need to ask the kernel.
  const tick = () => {
    listen();
    if (isHeld() || isGone || isSilent()) return;
    const passed = (performance.now() - drawnAt) / 1000;
    for (const one of picture.querySelectorAll("[data-age]")) {
      one.textContent = span(Math.max(0, Number(one.dataset.age) + passed));
    }
    for (const one of picture.querySelectorAll("[data-left]")) {
      one.textContent = span(Math.max(0, Number(one.dataset.left) - passed));
    }
  };

  const onSelection = () => {
    const selecting = isSelecting();
    if (selecting !== wasSelecting) {
      wasSelecting = selecting;
      model.send({ kind: "hold", viewer, held: selecting || Boolean(together.held) });
    }
    if (isBehind && !isHeld()) draw();
  };

  const pause = button("pause", "hold the picture still", () => {
    together.held = together.held ? null : { html: picture.innerHTML, at: new Date() };
    model.send({ kind: "hold", viewer, held: Boolean(together.held) });
    reportVisibility(false);
    for (const view of together.views) view.showPause();
    if (!together.held) draw();
  });
  const showPause = () => {
    const { held } = together;
    pause.textContent = held ? `go on (held since ${clock(held.at)})` : "pause";
    pause.title = held ? "go on" : "hold the picture still";
    pause.setAttribute("aria-label", pause.title);
    pause.setAttribute("aria-pressed", String(Boolean(held)));
    if (held) picture.innerHTML = held.html;
  };

  // --- the window of time

  const zoomTo = (last, until) => {
    together.last = last;
    if (together.held) pause.click();
    model.send({ kind: "zoom", last, until });
    showZoom();
  };
  const shown = () => together.last ?? model.get("span") ?? 1;
  const scale = (factor, where = 0.5) => {
    const wide = shown();
    const next = Math.min(Math.max(wide * factor, 0.05), 1e7);
    zoomTo(next, model.get("until") - (wide - next) * (1 - where));
  };
  const earlier = (seconds) => zoomTo(shown(), model.get("until") - seconds);
  const presets = [];
  const showZoom = () => {
    for (const [last, one] of presets) one.setAttribute("aria-pressed", String(last === together.last));
    for (const [, one] of presets) {
      one.style.fontWeight = one.getAttribute("aria-pressed") === "true" ? "600" : "";
    }
  };

  const bar = made("div", "display:flex;flex-wrap:wrap;gap:4px;margin:2px 0");
  const addZoom = () => {
    const preset = (text, name, last) => {
      const one = button(text, name, () => zoomTo(last, null));
      presets.push([last, one]);
      bar.append(one);
    };
    preset("all", "everything", null);
    preset("last 60 s", "the last minute", 60);
    preset("last 10 s", "the last 10 seconds", 10);
    bar.append(
      button("+", "closer (Ctrl + wheel)", () => scale(0.5)),
      button("−", "farther (Ctrl + wheel)", () => scale(2)),
      button("◀", "earlier (drag)", () => earlier(shown() / 3)),
      button("▶", "later (drag)", () => earlier(-shown() / 3)),
    );
    showZoom();
    picture.style.cursor = "grab";
    picture.style.touchAction = "pan-y";
  };

  const plotAt = (event) => {
    const drawing = picture.querySelector("svg");
    if (!drawing) return 0;
    const box = drawing.getBoundingClientRect();
    const scale = box.width / (drawing.viewBox.baseVal.width || box.width);
    const wide = box.width - (GUTTER + MARGIN) * scale;
    return (event.clientX - box.left - GUTTER * scale) / wide;
  };
  let grabbed = null;
  const onWheel = (event) => {
    if (!(event.ctrlKey || event.metaKey)) return; // the page scrolls
    event.preventDefault();
    scale(event.deltaY > 0 ? 1.25 : 0.8, Math.min(1, Math.max(0, plotAt(event))));
  };
  const onMove = (event) => {
    const drawing = picture.firstElementChild;
    if (grabbed === null || !drawing) return;
    drawing.style.transform = `translateX(${event.clientX - grabbed.x}px)`;
  };
  const onGrab = (event) => {
    if (event.button !== 0) return;
    grabbed = { at: plotAt(event), x: event.clientX };
    picture.style.cursor = "grabbing";
    picture.setPointerCapture?.(event.pointerId);
  };
  const onLetGo = (event) => {
    if (grabbed === null) return;
    const moved = plotAt(event) - grabbed.at;
    grabbed = null;
    picture.style.cursor = "grab";
    if (picture.firstElementChild) picture.firstElementChild.style.transform = "";
    if (Math.abs(moved) > 0.01) earlier(moved * shown());
  };

  // --- what the picture and its buttons do

  const act = (name, value) => model.send({ kind: "act", name, value });

  const ask = (action) => {
    answers.replaceChildren();
    const form = made("form", "display:flex;gap:4px;margin:4px 0;align-items:center");
    const label = made("label", "font:12px system-ui,sans-serif", `${action.asks} `);
    const field = made("input", "font:12px system-ui,sans-serif;padding:2px 6px");
    field.type = "password";
    field.autocomplete = "off";
    label.append(field);
    form.append(
      label,
      button("set", action.title, () => form.requestSubmit()),
      button("cancel", "cancel", () => answers.replaceChildren()),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value) act(action.name, field.value);
      field.value = "";
      answers.replaceChildren();
    });
    // A notebook has keys of its own.
    form.addEventListener("keydown", (event) => event.stopPropagation());
    answers.append(form);
    field.focus();
  };

  const answer = (text) => {
    answers.replaceChildren();
    if (!text) return;
    const box = made("div", "margin:4px 0;max-width:100%;font:12px system-ui,sans-serif");
    const body = made(
      "pre",
      "font:12px/1.5 ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap;margin:4px 0;" +
        "overflow-wrap:anywhere;max-height:320px;overflow:auto;user-select:text;padding:4px 8px;" +
        "border:1px solid rgba(127,127,127,.4);border-radius:4px",
      text,
    );
    body.tabIndex = 0;
    const copy = button("copy", "copy this text", async () => {
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        document.getSelection()?.selectAllChildren(body);
        document.execCommand("copy");
      }
      copy.textContent = "copied";
    });
    box.append(copy, " ", button("close", "close this text", () => answers.replaceChildren()), body);
    answers.append(box);
  };

  const onClick = (event) => {
    const one = event.target.closest?.("[data-act]");
    if (one && picture.contains(one)) act(one.dataset.act, one.dataset.value ?? null);
  };
  const onMessage = (content) => {
    hear();
    if (content?.kind === "beat") reportVisibility(true);
    if (content?.kind === "reply") answer(content.text);
  };
  const onDown = () => {
    isPressed = true;
  };
  const onUp = () => {
    isPressed = false;
    if (isBehind) setTimeout(() => isBehind && !isHeld() && draw(), 50); // after the click
  };

  bar.append(pause);
  if (model.get("span") !== null) {
    addZoom();
    picture.addEventListener("wheel", onWheel, { passive: false });
    picture.addEventListener("pointerdown", onGrab);
    picture.addEventListener("pointermove", onMove);
    picture.addEventListener("pointerup", onLetGo);
  }
  for (const action of model.get("actions") ?? []) {
    const run = () => (action.asks ? ask(action) : act(action.name, null));
    bar.append(button(action.label, action.title, run));
  }
  picture.addEventListener("click", onClick);
  picture.addEventListener("pointerdown", onDown);
  document.addEventListener("pointerup", onUp);
  document.addEventListener("selectionchange", onSelection);
  const content = contentMaker?.({
    model, viewer, together, made, button, isHeld: () => Boolean(together.held),
  });
  if (content) body.append(content.element);
  body.append(picture);
  el.append(bar, note, body, answers, spoken);

  // --- a front end that puts a new view of the model in the place of this one

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
  };
  const leave = () => {
    end();
    el.remove();
  };
  const end = () => {
    if (ended) return;
    ended = true;
    inSight = false;
    clearInterval(timer);
    content?.end();
    observer.disconnect();
    sizes.disconnect();
    replaced.disconnect();
    document.removeEventListener("visibilitychange", onVisibilityChange);
    document.removeEventListener("pointerup", onUp);
    document.removeEventListener("selectionchange", onSelection);
    model.off("change:html", draw);
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", lookAtComm);
    together.views.delete(me);
    model.send({ kind: "hold", viewer, held: false });
    reportVisibility(false);
    el.replaceChildren();
    el.removeAttribute("data-rx-view");
  };
  const me = { leave, showPause, isIn: (place) => place === container };
  together.views.add(me);

  const observer = new IntersectionObserver((entries) => {
    settle();
    inSight = together.inSight = entries[entries.length - 1].isIntersecting;
    reportVisibility(false);
  });
  observer.observe(body);
  let told = 0;
  const sizes = new ResizeObserver(() => {
    const width = Math.floor(picture.clientWidth / 20) * 20;
    if (!width || width === told || model.get("span") === null) return;
    told = width;
    tallest = 0;
    picture.style.minHeight = "";
    model.send({ kind: "width", width });
  });
  sizes.observe(picture);
  const onVisibilityChange = () => reportVisibility(false);
  document.addEventListener("visibilitychange", onVisibilityChange);
  model.on("change:html", draw);
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", lookAtComm);
  const timer = setInterval(tick, 1000);
  if (together.held) {
    model.send({ kind: "hold", viewer, held: true });
    showPause();
    reportVisibility(false);
  } else {
    draw();
  }
  content?.show();
  lookAtComm();
  return end;
}

export default { render };
