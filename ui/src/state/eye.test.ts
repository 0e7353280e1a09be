import { expect, test } from "vitest";
import { Eye } from "./eye.svelte";

test("a long room is drawn in a bounded slice at its end", () => {
  const eye = new Eye();
  eye.fit(100_000, 0);
  expect(eye.end).toBe(100_000);
  expect(eye.end - eye.start).toBeLessThanOrEqual(240);
});

test("going up and down through a hundred thousand never draws more than a few hundred", () => {
  const eye = new Eye();
  eye.fit(100_000, 0);
  eye.atEnd = false;
  while (eye.up()) expect(eye.end - eye.start).toBeLessThanOrEqual(240);
  expect(eye.start).toBe(0);
  while (eye.down(100_000)) expect(eye.end - eye.start).toBeLessThanOrEqual(240);
  expect(eye.end).toBe(100_000);
});

test("what comes above shifts the slice, what comes below does not move it", () => {
  const eye = new Eye();
  eye.fit(1_000, 0);
  eye.atEnd = false;
  eye.up();
  const { start, end } = eye;
  eye.fit(1_010, 0);
  expect([eye.start, eye.end]).toEqual([start, end]);
  eye.fit(1_060, 50);
  expect([eye.start, eye.end]).toEqual([start + 50, end + 50]);
});
