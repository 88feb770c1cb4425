// Shows what the kernel draws, and reports to it whether the picture is visible.

const REPORT_AFTER = 5000; // ms after which an update is answered again
const PLOT = 758 / 880; // the part of a picture that is the plot

const COLOURS = {
  "--rx-paper": ["--jp-layout-color0", "--vscode-editor-background"],
  "--rx-ink": ["--jp-ui-font-color1", "--vscode-editor-foreground"],
  "--rx-muted": ["--jp-ui-font-color2", "--vscode-descriptionForeground"],
  "--rx-line": ["--jp-border-color2", "--vscode-widget-border"],
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

function render({ model, el }) {
  const viewer = Math.random().toString(36).slice(2);
  const picture = document.createElement("div");
  let reported = null; // whether it was visible at the last report
  let reportedAt = 0;
  let inSight = true;
  let drawnAt = performance.now();
  let zoom = { last: null, ago: 0 };

  for (const [name, sources] of Object.entries(COLOURS)) {
    const known = sources.reduceRight((rest, one) => `var(${one}${rest ? `, ${rest}` : ""})`, "");
    const style = getComputedStyle(document.body);
    if (sources.some((one) => style.getPropertyValue(one))) el.style.setProperty(name, known);
  }

  const reportVisibility = (isUpdate) => {
    const visible = inSight && document.visibilityState !== "hidden";
    const now = performance.now();
    const isDue = visible && isUpdate && now - reportedAt > REPORT_AFTER;
    if (visible === reported && !isDue) return;
    reported = visible;
    reportedAt = now;
    model.send({ kind: visible ? "visible" : "hidden", viewer });
  };

  const draw = () => {
    drawnAt = performance.now();
    picture.innerHTML = model.get("html");
    reportVisibility(true);
  };

  // What is "for 12 s" now is "for 13 s" in a second: no need to ask the kernel.
  const tick = () => {
    const passed = (performance.now() - drawnAt) / 1000;
    for (const one of picture.querySelectorAll("[data-age]")) {
      one.textContent = span(Math.max(0, Number(one.dataset.age) + passed));
    }
    for (const one of picture.querySelectorAll("[data-left]")) {
      one.textContent = span(Math.max(0, Number(one.dataset.left) - passed));
    }
  };

  const zoomTo = (last, ago) => {
    zoom = { last, ago: Math.max(0, ago) };
    model.send({ kind: "zoom", ...zoom });
  };
  const shown = () => zoom.last ?? model.get("span") ?? 1;
  const scale = (factor, where = 0.5) => {
    const wide = shown();
    const next = Math.min(Math.max(wide * factor, 0.05), 1e7);
    zoomTo(next, zoom.ago + (wide - next) * (1 - where));
  };

  const buttons = () => {
    const bar = document.createElement("div");
    bar.style.cssText = "display:flex;gap:4px;margin:2px 0";
    const add = (text, title, action) => {
      const button = document.createElement("button");
      button.textContent = text;
      button.title = title;
      button.style.cssText =
        "font:11px system-ui,sans-serif;padding:1px 8px;border-radius:4px;cursor:pointer;" +
        "color:inherit;background:rgba(127,127,127,.12);border:1px solid rgba(127,127,127,.4)";
      button.addEventListener("click", action);
      bar.append(button);
    };
    add("all", "everything", () => zoomTo(null, 0));
    add("last 60 s", "the last minute", () => zoomTo(60, 0));
    add("last 10 s", "the last 10 seconds", () => zoomTo(10, 0));
    add("+", "closer (Ctrl + wheel)", () => scale(0.5));
    add("−", "farther (Ctrl + wheel)", () => scale(2));
    add("◀", "earlier (drag)", () => zoomTo(shown(), zoom.ago + shown() / 3));
    add("▶", "later (drag)", () => zoomTo(shown(), zoom.ago - shown() / 3));
    return bar;
  };

  const plotAt = (event) => {
    const box = picture.getBoundingClientRect();
    const svg = picture.querySelector("svg")?.getBoundingClientRect() ?? box;
    const left = svg.width * (104 / 880);
    return (event.clientX - svg.left - left) / (svg.width * PLOT);
  };
  let grabbed = null;
  if (model.get("span") !== null) {
    el.append(buttons());
    picture.addEventListener(
      "wheel",
      (event) => {
        if (!(event.ctrlKey || event.metaKey)) return; // the page scrolls
        event.preventDefault();
        scale(event.deltaY > 0 ? 1.25 : 0.8, Math.min(1, Math.max(0, plotAt(event))));
      },
      { passive: false },
    );
    picture.addEventListener("pointerdown", (event) => (grabbed = plotAt(event)));
    picture.addEventListener("pointerup", (event) => {
      const moved = grabbed === null ? 0 : plotAt(event) - grabbed;
      grabbed = null;
      if (Math.abs(moved) > 0.01) zoomTo(shown(), zoom.ago + moved * shown());
    });
  }
  el.append(picture);

  const observer = new IntersectionObserver((entries) => {
    inSight = entries[entries.length - 1].isIntersecting;
    reportVisibility(false);
  });
  observer.observe(picture);
  const onVisibilityChange = () => reportVisibility(false);
  document.addEventListener("visibilitychange", onVisibilityChange);
  model.on("change:html", draw);
  const timer = setInterval(tick, 1000);
  draw();

  return () => {
    inSight = false;
    clearInterval(timer);
    observer.disconnect();
    document.removeEventListener("visibilitychange", onVisibilityChange);
    model.off("change:html", draw);
    reportVisibility(false);
  };
}

export default { render };
