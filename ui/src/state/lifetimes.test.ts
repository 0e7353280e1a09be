import { expect, test } from "vitest";
import { gone, moment, name, parse, until } from "./lifetimes";
import { DAY, HOUR, MINUTE, SECOND } from "./remaining";

test.each([[10 * SECOND, "10 s"], [90 * SECOND, "90 s"], [MINUTE, "1 min"], [8 * HOUR, "8 h"], [DAY, "1 d"], [7 * DAY, "1 w"], [30 * DAY, "30 d"]])(
  "%d ms are named %s", (millis, named) => expect(name(millis)).toBe(named));

test.each([["1", SECOND, SECOND], ["30", DAY, 30 * DAY], ["0", SECOND, undefined], ["31", DAY, undefined], ["", MINUTE, undefined], ["x", MINUTE, undefined], ["1.5", MINUTE, 90 * SECOND]])(
  "%s of %d is %s", (number, unit, millis) => expect(parse(number, unit)).toBe(millis));

test("a moment is said as seen from now", () => {
  const now = new Date(2026, 10, 24, 10, 58, 2).getTime();
  expect(moment(now + 10 * SECOND, now)).toBe("10:58:12");
  expect(until(now + 10 * MINUTE, now)).toBe("until 11:08");
  expect(until(now + DAY, now)).toBe("tomorrow 10:58");
  expect(until(now + 7 * DAY, now)).toBe("Tue, 1 Dec");
  expect([MINUTE, DAY, 7 * DAY].map((left) => gone(now + left, now))).toEqual(["Gone at 10:59", "Gone tomorrow 10:58", "Gone Tue, 1 Dec"]);
});
