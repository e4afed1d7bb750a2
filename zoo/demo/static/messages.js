// What is told while something is done, and when it fails.

import { of } from "./state.js";
import { inWords } from "./words.js";

export function complain(error) {
  of("error").firstElementChild.textContent = inWords(error);
  of("error").hidden = false;
}

export function busy(text) {
  of("busy-text").textContent = text ?? "";
  of("busy").hidden = !text;
}

export async function trying(text, work) {
  of("error").hidden = true;
  busy(text);
  try {
    return await work();
  } catch (error) {
    complain(error);
    return null;
  } finally {
    busy(null);
  }
}
