// The page: what is chosen, what is shown, and what happens when.

import { Camera } from "./camera.js";
import { legend, paint, place } from "./draw.js";
import { Engine } from "./engine.js";
import { sharesOf } from "./frame.js";
import { complain, busy, trying } from "./messages.js";
import { describe } from "./model.js";
import { takeCharge } from "./offline.js";
import { copied, pictureIn, read } from "./picture.js";
import { maskFile } from "./png.js";
import { keyed, pointed, probe } from "./probe.js";
import { OWN, of, overlay, picture, stage, state } from "./state.js";
import { Sentence } from "./words.js";

// --- models ----------------------------------------------------------------------------------------------------

async function bytesOf(path) {
  let response;
  try { response = await fetch(path); } catch { throw new Sentence("The model cannot be loaded: there is no connection, and it was not used before."); }
  if (!response.ok) throw new Sentence(`The model cannot be loaded: the server answers ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function use(bytes, name) {
  const info = describe(bytes, name);
  const engine = await Engine.open(bytes, info);
  state.engine?.close();
  Object.assign(state, { engine, info });
}

async function useListed(index) {
  const entry = state.models[index];
  await use(await bytesOf(entry.path), entry.title);
}

function list() {
  const options = state.models.map(({ title }, index) => new Option(title, String(index)));
  of("model").replaceChildren(...options, new Option("Open a file…", OWN));
  of("model").value = state.chosen;
}

function named(file) {
  const known = [...of("model").options].find((option) => option.value === "file");
  if (known) known.text = file.name;
  else of("model").add(new Option(file.name, "file"), of("model").options[of("model").options.length - 1]);
  of("model").value = state.chosen = "file";
}

async function choose() {
  const value = of("model").value;
  if (value === OWN) {
    of("model").value = state.chosen; // until a file was chosen
    of("model-file").click();
    return;
  }
  if (value === "file" ? !state.file : value === state.chosen) return;
  const done = await exclusively(() => trying("Loading the model …", async () => {
    await (value === "file" ? use(new Uint8Array(await state.file.arrayBuffer()), state.file.name) : useListed(Number(value)));
    return true;
  }));
  if (done) state.chosen = value;
  of("model").value = state.chosen;
  if (done && state.shown && !state.camera) await segment();
}

async function openFile(file) {
  const done = await exclusively(() => trying("Loading the model …", async () => {
    await use(new Uint8Array(await file.arrayBuffer()), file.name);
    return true;
  }));
  if (!done) return;
  state.file = file;
  named(file);
  if (state.shown && !state.camera) await segment();
}

// One after another: a model is not closed while it runs.
let last = Promise.resolve();
function exclusively(work) {
  last = last.then(work, work);
  return last;
}

// --- pictures --------------------------------------------------------------------------------------------------

async function open(file) {
  if (/\.(tflite|onnx)$/i.test(file.name)) return openFile(file);
  stop();
  const canvas = await trying("Reading the picture …", () => read(file));
  if (!canvas) return;
  state.name = (file.name || "picture").replace(/\.[^.]*$/, "");
  show(canvas, canvas.width, canvas.height);
  await segment();
}

function show(source, width, height) {
  copied(source, width, height, picture);
  state.shown = true;
  of("empty").hidden = true;
  stage.classList.remove("vacant");
  layout();
}

function layout() {
  if (state.shown) state.area = place(stage, [picture, overlay], picture);
  probe();
}

async function segment() {
  overlay.hidden = true;
  state.result = null;
  await exclusively(() => trying(state.engine ? "Segmenting …" : "Loading the model …", async () => {
    if (!state.engine) await useListed(0);
    busy("Segmenting …");
    await painted();
    finish(await state.engine.run(picture));
  }));
  if (!state.result || state.camera) return;
  const tried = await exclusively(() => state.engine?.tryGPU(picture).catch(() => false));
  if (tried) await exclusively(() => trying(null, async () => finish(await state.engine.run(picture))));
}

const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

function finish(result) {
  state.result = result;
  const shares = sharesOf(result, state.info);
  overlay.hidden = false;
  paint(overlay, result, state.info, { only: of("only").checked });
  legend(of("legend"), shares, state.info);
  const [first] = shares;
  stage.setAttribute("aria-label", first ? `Picture, mostly ${state.info.classes[first.label].label}. Arrow keys tell the class at a place.` : "Picture");
  of("status").textContent = `${result.milliseconds.toFixed(0)} ms per frame · ${state.engine.backend}`;
  of("save-mask").disabled = of("save-overlay").disabled = false;
  probe();
}

// --- the camera ------------------------------------------------------------------------------------------------

async function toggle() {
  if (state.camera) return stop();
  const ticket = ++state.ticket;
  const camera = await trying("Starting the camera …", async () => {
    const opened = await Camera.open();
    if (!state.engine) await exclusively(() => useListed(0));
    return opened;
  });
  if (!camera) return;
  if (ticket !== state.ticket) return camera.close();
  state.camera = camera;
  state.name = "camera";
  of("camera").setAttribute("aria-pressed", "true");
  of("camera").textContent = "Stop the camera";
  for (let frame = 0; state.camera === camera; frame++) {
    const done = await exclusively(() => oneFrame(camera).catch((error) => { complain(error); return false; }));
    if (!done) break;
    if (frame === 0) await exclusively(() => state.engine?.tryGPU(picture).catch(() => false));
  }
  if (state.camera === camera) stop();
}

async function oneFrame(camera) {
  await painted();
  if (state.camera !== camera) return false;
  const { width, height } = camera.size;
  const frame = copied(camera.video, width, height);
  const result = await state.engine.run(frame);
  if (state.camera !== camera) return false;
  show(frame, frame.width, frame.height);
  finish(result);
  return true;
}

// The last frame stays as a picture.
function stop() {
  state.ticket++;
  state.camera?.close();
  state.camera = null;
  of("camera").setAttribute("aria-pressed", "false");
  of("camera").textContent = "Camera";
}

// --- downloads -------------------------------------------------------------------------------------------------

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function saveMask() {
  save(await maskFile(state.result, state.info.classes, picture.width, picture.height), `${state.name}_mask.png`);
}

async function saveOverlay() {
  const canvas = copied(picture, picture.width, picture.height), context = canvas.getContext("2d");
  const only = of("only").checked;
  context.globalAlpha = only ? 1 : of("opacity").value / 100;
  context.imageSmoothingEnabled = false;
  context.drawImage(overlay, 0, 0, canvas.width, canvas.height);
  save(await new Promise((done) => canvas.toBlob(done, "image/png")), `${state.name}_overlay.png`);
}

// --- events ----------------------------------------------------------------------------------------------------

function appearance() {
  const only = of("only").checked;
  stage.classList.toggle("only", only);
  overlay.style.opacity = only ? 1 : of("opacity").value / 100;
  of("opacity").disabled = only;
  of("opacity-text").textContent = `${of("opacity").value} %`;
  if (state.result) paint(overlay, state.result, state.info, { only });
}

function listen() {
  const picked = (input, action) => input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = "";
    if (file) action(file);
  });
  of("choose").addEventListener("click", () => of("file").click());
  of("take").addEventListener("click", () => of("shot").click());
  of("camera").addEventListener("click", toggle);
  picked(of("file"), open);
  picked(of("shot"), open);
  picked(of("model-file"), openFile);
  of("model").addEventListener("change", choose);
  of("opacity").addEventListener("input", appearance);
  of("only").addEventListener("change", appearance);
  of("save-mask").addEventListener("click", () => trying(null, saveMask));
  of("save-overlay").addEventListener("click", () => trying(null, saveOverlay));
  of("dismiss").addEventListener("click", () => { of("error").hidden = true; });
  stage.addEventListener("pointermove", pointed);
  stage.addEventListener("pointerdown", pointed);
  stage.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") probe(null); });
  stage.addEventListener("keydown", keyed);
  stage.addEventListener("blur", () => { if (state.probe?.keys) probe(null); });
  addEventListener("resize", layout);
  addEventListener("paste", (event) => given(event.clipboardData, event));
  addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) stage.classList.remove("over"); });
  addEventListener("drop", (event) => { stage.classList.remove("over"); given(event.dataTransfer, event); });
}

function given(transfer, event) {
  event.preventDefault();
  const file = pictureIn(transfer);
  if (file) open(file);
  else complain(new Sentence("There is no picture in it."));
}

async function start() {
  stage.classList.add("vacant");
  listen();
  appearance();
  await takeCharge();
  await trying("Loading the model …", async () => {
    state.models = JSON.parse(new TextDecoder().decode(await bytesOf("models.json"))).models;
    list();
    await exclusively(async () => { if (!state.engine) await useListed(0); });
    of("status").textContent = state.engine.backend;
  });
  document.body.dataset.ready = "1";
}

start();
