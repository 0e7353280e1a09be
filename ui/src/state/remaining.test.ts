import { expect, test } from "vitest";
import { DAY, HOUR, MINUTE, SECOND, look, quarters, untilNextLook, words } from "./remaining";

test.each([
  [6 * DAY + 1, "6 d"], [2 * DAY - 1, "1 d"], [DAY - 1, "23 h"], [HOUR, "1 h"], [HOUR - 1, "59 m"], [MINUTE, "1 m"],
  [59_001, "1 m"], [59 * SECOND, "59 s"], [51_001, "52 s"], [1, "1 s"], [0, "1 s"],
])("%d ms are %s", (left, said) => expect(words(left)).toBe(said));

test.each([
  [30 * DAY, 4], [DAY, 3.18], [23 * HOUR, 2.18 + (0.82 * 22) / 23], [HOUR, 2.18], [MINUTE, 1.18], [30 * SECOND, 0.59], [0, 0.18],
])("%d ms fill %d quarters", (left, filled) => expect(quarters(left)).toBeCloseTo(filled, 6));

test("the last tenth dries, 30 s at most, and the last moment goes", () => {
  expect(look(7 * SECOND, 60 * SECOND).ink).toBe(1);
  expect(look(3 * SECOND, 60 * SECOND).ink).toBeCloseTo(0.5);
  expect(look(15 * SECOND, DAY).ink).toBeCloseTo(0.5);
  expect(look(31 * SECOND, DAY).ink).toBe(1);
  expect(look(901, DAY).going).toBe(false);
  expect(look(900, DAY).going).toBe(true);
});

test("nothing changes before the next look, and something has changed at it or soon after", () => {
  for (const lifetime of [10 * SECOND, HOUR, 2 * DAY]) {
    for (let left = lifetime; left > 0; ) {
      const wait = untilNextLook(left, lifetime);
      expect(wait).toBeGreaterThan(0);
      const before = look(left, lifetime);
      const just = look(left - wait + 1, lifetime);
      expect(wait > 1 ? just.words : before.words).toBe(before.words);
      left -= Math.max(wait, lifetime / 500);
    }
  }
  expect(untilNextLook(0, HOUR)).toBe(0);
});

test("a calm message is looked at once a minute, not once a frame", () => {
  let looks = 0;
  for (let left = HOUR; left > MINUTE; left -= untilNextLook(left, HOUR)) looks += 1;
  expect(looks).toBeLessThan(62);
});
