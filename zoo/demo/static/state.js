// What all parts of the page know.

export const of = (id) => document.getElementById(id);
export const stage = of("stage"), picture = of("picture"), overlay = of("overlay");

export const OWN = "own"; // entry of the chooser for a file of the person's
export const state = { models: [], engine: null, info: null, name: "picture", shown: false, result: null, area: null, camera: null, ticket: 0, probe: null, chosen: "0" };
