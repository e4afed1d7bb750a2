// One scenario of test_page.py: node drive.mjs NAME '{"url": …}' prints what was seen as JSON.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { choose, error, legend, open, save, withPage } from "./browser.mjs";

const scenarios = {
  // Every model of the chooser on one picture.
  async models(page, since, { photo, folder }) {
    const titles = await page.$$eval("#model option", (options) => options.map((option) => option.text));
    const seen = [];
    for (let index = 0; index < titles.length - 1; index++) {
      if (index) await choose(page, String(index));
      else await open(page, photo);
      const seconds = (Date.now() - since) / 1000;
      const name = await save(page, "#save-mask", `${folder}/${index}.png`);
      seen.push({ title: titles[index], name, seconds, legend: await legend(page), status: await page.textContent("#status") });
    }
    return { seen, isolated: await page.evaluate(() => crossOriginIsolated) };
  },

  // What a person does with one picture.
  async person(page, since, { photo, folder, width }) {
    await page.screenshot({ path: `${folder}/empty_${width}.png`, fullPage: true });
    await open(page, photo);
    await page.screenshot({ path: `${folder}/photo_${width}.png`, fullPage: true });
    const box = await page.locator("#picture").boundingBox(), x = box.x + 0.5 * box.width, y = box.y + 0.15 * box.height;
    if (width < 500) await page.touchscreen.tap(x, y);
    else await page.mouse.move(x, y);
    const tip = await page.textContent("#tip");
    await page.focus("#stage");
    for (let step = 0; step < 40; step++) await page.keyboard.press("ArrowDown");
    const keyed = await page.textContent("#tip"), spoken = await page.textContent("#spoken");
    await page.keyboard.press("Escape");
    const gone = await page.isHidden("#tip");
    await page.$eval("#opacity", (input) => { input.value = 100; input.dispatchEvent(new Event("input")); });
    await save(page, "#save-overlay", `${folder}/overlay_${width}.png`);
    const opacity = await page.$eval("#overlay", (canvas) => canvas.style.opacity);
    await page.check("#only");
    const hidden = await page.$eval("#picture", (canvas) => getComputedStyle(canvas).visibility);
    await page.screenshot({ path: `${folder}/only_${width}.png`, fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    const page_color = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const tabs = [];
    await page.focus("#model");
    for (let step = 0; step < 8; step++) {
      await page.keyboard.press("Tab");
      tabs.push(await page.evaluate(() => document.activeElement.id));
    }
    return { tip, keyed, spoken, gone, opacity, hidden, wide, page_color, tabs, legend: await legend(page) };
  },

  // Pictures by dropping and pasting.
  async given(page, since, { photo, folder }) {
    const names = [];
    for (const kind of ["drop", "paste"]) {
      const content = readFileSync(photo).toString("base64");
      await page.evaluate(async ([kind, content]) => {
        document.querySelector("#status").textContent = "";
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
        const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      }, [kind, content]);
      await page.waitForFunction(() => document.querySelector("#status").textContent.includes("ms per frame"));
      names.push(await save(page, "#save-mask", `${folder}/${kind}.png`));
    }
    return { names };
  },

  // Files that cannot be used, and whether the page goes on.
  async errors(page, since, { photo, pictures, models, folder }) {
    const said = {};
    for (const [selector, paths] of [["#file", pictures], ["#model-file", models]]) {
      for (const path of paths) {
        await page.$eval("#error", (box) => { box.hidden = true; });
        await page.setInputFiles(selector, path);
        await page.waitForSelector("#error:not([hidden])");
        said[path] = await error(page);
      }
    }
    await page.click("#dismiss");
    const dismissed = await error(page);
    await open(page, photo);
    await save(page, "#save-mask", `${folder}/after.png`);
    return { said, dismissed, after: await error(page) };
  },

  // A model file of the person's.
  async own(page, since, { photo, model, folder }) {
    await open(page, photo);
    await page.evaluate(() => { document.querySelector("#status").textContent = ""; });
    await page.setInputFiles("#model-file", model);
    await page.waitForFunction(() => document.querySelector("#status").textContent.includes("ms per frame"));
    await save(page, "#save-mask", `${folder}/own.png`);
    return { chosen: await page.$eval("#model", (list) => list.selectedOptions[0].text) };
  },

  // The server ends in between.
  async offline(page, since, { photo, folder, reloads }) {
    await open(page, photo);
    await save(page, "#save-mask", `${folder}/online.png`);
    const before = await page.evaluate(() => crossOriginIsolated);
    console.log("stop");
    const answers = createInterface({ input: process.stdin });
    await new Promise((done) => answers.once("line", done));
    answers.close();
    await page.reload();
    await page.waitForSelector("body[data-ready]");
    await open(page, photo);
    await save(page, "#save-mask", `${folder}/offline.png`);
    return { before, error: await error(page), isolated: await page.evaluate(() => crossOriginIsolated) };
  },

  // The camera, and its last frame as it was seen.
  async camera(page, since, { folder }) {
    await page.click("#camera");
    await page.waitForFunction(() => document.querySelector("#status").textContent.includes("ms per frame"));
    await page.screenshot({ path: `${folder}/camera.png`, fullPage: true });
    const running = await page.getAttribute("#camera", "aria-pressed");
    await page.click("#camera");
    const frame = await page.$eval("#picture", (canvas) => canvas.toDataURL("image/png"));
    await save(page, "#save-mask", `${folder}/camera_mask.png`);
    const stopped = await page.getAttribute("#camera", "aria-pressed");
    return { running, stopped, frame, legend: await legend(page), error: await error(page) };
  },
};

const [name, text] = process.argv.slice(2), options = JSON.parse(text);
const found = await withPage(options, (page, since) => scenarios[name](page, since, options));
console.log(JSON.stringify(found));
