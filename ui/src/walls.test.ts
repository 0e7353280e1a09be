// The walls of the ui: what may stand only in one place, or nowhere.
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .map((file) => `src/${file}`)
  .filter((file) => /\.(ts|svelte|css)$/.test(file) && !file.endsWith(".test.ts"));
const hits = (pattern: RegExp, except: (file: string) => boolean = () => false): string[] =>
  files.filter((file) => !except(file) && pattern.test(readFileSync(file, "utf8")));

test("there are files to look at", () => expect(files.length).toBeGreaterThan(20));
test("no HTML string ever reaches the page", () => expect(hits(/\{@html|innerHTML|outerHTML|insertAdjacentHTML/)).toEqual([]));
test("only one file names Tauri", () => expect(hits(/@tauri-apps/)).toEqual(["src/api/tauri.ts"]));
test("no any", () => expect(hits(/[:<]\s*any\b|\bas any\b/)).toEqual([]));
test("no style attribute, which the CSP would block", () => expect(hits(/\sstyle="/)).toEqual([]));
test("raw colours stand in the tokens alone", () =>
  expect(hits(/#[0-9a-f]{3,8}\b(?![^<]*<\/)|\brgba?\(|\bhsl\(/i, (file) => file.endsWith("tokens.css") || file.endsWith(".ts"))).toEqual([]));
