// Errors whose message is a sentence for the person at the screen.

export class Sentence extends Error {}

export function inWords(error) {
  if (error instanceof Sentence) return error.message;
  const text = String(error?.message ?? error).split("\n")[0].slice(0, 200);
  return `Something went wrong: ${text}`;
}
