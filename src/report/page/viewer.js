"use strict";
// Shows the volumes of each viewer with NiiVue; whatever fails leaves the montage in its place and says why.
for (const root of document.querySelectorAll(".viewer")) {
  const live = root.querySelector(".live");
  const instead = root.querySelector(".instead");
  const canvas = root.querySelector("canvas");
  const place = root.querySelector("output");
  const scan = root.querySelector("[name=scan]");
  const view = root.querySelector("[name=view]");
  const opacity = root.querySelector("[name=opacity]");
  const labels = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const names = new Map(labels.map((label) => [label.number, label.name]));
  const base64 = (kind, index) => root.querySelector(`script[data-${kind}="${index}"]`)?.textContent;

  const colours = () => {
    const listed = [{ number: 0, name: "", colour: [0, 0, 0] }, ...labels.filter((label) => label.number > 0)];
    const channel = (index) => listed.map((label) => label.colour[index]);
    return {
      R: channel(0), G: channel(1), B: channel(2),
      A: listed.map((label) => (label.number > 0 ? 255 : 0)),
      I: listed.map((label) => label.number),
      labels: listed.map((label) => label.name),
    };
  };

  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 0.82, 0.4, 0.9],
    crosshairWidth: 0.5,
    crosshairWidthUnit: "mm",
    isCornerOrientationText: true,
    show3Dcrosshair: true,
    fontColor: [0.75, 0.75, 0.75, 1],
    multiplanarShowRender: 0,
    sliceType: Number(view.value),
    dragAndDropEnabled: false,
    scrollRequiresFocus: true,
    isNearestInterpolation: false,
    logLevel: "error",
  });

  viewer.onLocationChange = ({ mm, values }) => {
    const axis = (value, negative, positive) =>
      `${Math.abs(value).toFixed(1)} mm ${value < 0 ? negative : positive}`;
    const where = [axis(mm[0], "left", "right"), axis(mm[1], "posterior", "anterior"), axis(mm[2], "inferior", "superior")];
    const intensity = values.length > 0 ? `intensity ${Number(values[0].value.toPrecision(4))}` : "";
    const number = values.length > 1 ? Math.round(values[1].value) : 0;
    const label = number > 0 ? (names.get(number) ?? `label ${number}`) : "";
    place.textContent = [where.join(", "), intensity, label].filter(Boolean).join(" · ");
    canvas.dataset.millimetres = Array.from(mm.slice(0, 3), (value) => value.toFixed(2)).join(" ");
    canvas.dataset.label = label;
  };

  // Only the last volume asked for is shown, whichever is ready first.
  let asked = 0;
  const show = async (index) => {
    const turn = ++asked;
    const at = viewer.volumes.length > 0 ? viewer.frac2mm(viewer.scene.crosshairPos) : null;
    const { low, high } = scan.options[index].dataset;
    const window = low === undefined ? {} : { cal_min: Number(low), cal_max: Number(high) };
    const options = { name: "image.nii.gz", base64: base64("image", index), colormap: "gray", ...window };
    const volumes = [await niivue.NVImage.loadFromBase64(options)];
    const map = base64("labels", index);
    if (map !== undefined) {
      const overlay = await niivue.NVImage.loadFromBase64({ name: "labels.nii.gz", base64: map });
      overlay.setColormapLabel(colours());
      overlay.opacity = opacity.value / 100;
      volumes.push(overlay);
    }
    if (turn !== asked) return;
    while (viewer.volumes.length > 0) viewer.removeVolume(viewer.volumes[0]);
    volumes.forEach((volume) => viewer.addVolume(volume));
    root.querySelector(".overlay").hidden = volumes.length < 2;
    viewer.scene.crosshairPos = at === null ? [0.5, 0.5, 0.5] : viewer.mm2frac(at);
    viewer.moveCrosshairInVox(0, 0, 0);
    canvas.dataset.scan = String(index);
  };

  const steps = {
    ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0],
    ArrowDown: [0, -1, 0], ArrowUp: [0, 1, 0],
    PageDown: [0, 0, -1], PageUp: [0, 0, 1],
  };
  const turn = (select, by) => {
    select.selectedIndex = (select.selectedIndex + by + select.length) % select.length;
    select.dispatchEvent(new Event("change"));
  };
  const fade = (by) => {
    opacity.value = Number(opacity.value) + by;
    opacity.dispatchEvent(new Event("input"));
  };
  const keys = {
    Home: () => {
      viewer.scene.crosshairPos = [0.5, 0.5, 0.5];
      viewer.moveCrosshairInVox(0, 0, 0);
    },
    "[": () => fade(-10), "]": () => fade(10),
    v: () => turn(view, 1), n: () => turn(scan, 1), p: () => turn(scan, -1),
  };
  const pressed = (event) => {
    if (event.target !== canvas || event.ctrlKey || event.metaKey || event.altKey) return;
    // NiiVue has keys of its own, that act only under the mouse; the page's take their place.
    event.stopPropagation();
    const step = steps[event.key];
    const key = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (step === undefined && key === undefined) return;
    event.preventDefault();
    if (event.type !== "keydown") return;
    if (step === undefined) key();
    else viewer.moveCrosshairInVox(...step.map((part) => part * (event.shiftKey ? 10 : 1)));
  };

  const start = async () => {
    if (document.createElement("canvas").getContext("webgl2") === null) throw new Error("it has no WebGL 2");
    live.hidden = false;
    instead.hidden = true;
    live.addEventListener("keydown", pressed, true);
    live.addEventListener("keyup", pressed, true);
    scan.addEventListener("change", () => show(scan.selectedIndex).catch(fail));
    view.addEventListener("change", () => viewer.setSliceType(Number(view.value)));
    opacity.addEventListener("input", () => {
      if (viewer.volumes.length > 1) viewer.setOpacity(1, opacity.value / 100);
    });
    scan.parentElement.hidden = scan.length < 2;
    await viewer.attachToCanvas(canvas);
    await show(0);
  };
  const fail = (error) => {
    live.hidden = true;
    instead.hidden = false;
    root.querySelector(".why").textContent =
      `The viewer cannot run in this browser: ${error.message}. A montage stands in for it.`;
  };
  start().catch(fail);
}
