import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { START } from "../test/bench";
import { Clock } from "./clock";

beforeEach(() => vi.useFakeTimers({ now: START }));
afterEach(() => vi.useRealTimers());

test("the sample of the smallest round trip decides", () => {
  const clock = new Clock();
  clock.sample(START + 5_000, performance.now() - 1_000);
  expect(clock.now() - Date.now()).toBe(5_500);
  clock.sample(START + 4_000, performance.now() - 2);
  expect(clock.now() - Date.now()).toBe(4_001);
  clock.sample(START + 4_300, performance.now() - 500);
  expect(clock.now() - Date.now()).toBe(4_001);
});

test("where the two clocks differ, what either calls ended is hidden, and the store is asked", async () => {
  const ask = vi.fn();
  const clock = new Clock(ask);
  clock.sample(START, performance.now());
  const ends = vi.fn((now: number) => START + 60_000 - now);
  clock.watch(ends, true);
  // The computer slept for an hour: only the date knows.
  const asleep = vi.spyOn(performance, "now").mockReturnValue(performance.now());
  vi.setSystemTime(START + 3_600_000);
  expect(clock.now()).toBe(START + 3_600_000);
  expect(clock.disagrees()).toBe(true);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(ask).toHaveBeenCalled();
  // The date is set back by an hour: only the steady clock knows.
  asleep.mockRestore();
  vi.setSystemTime(START - 3_600_000);
  expect(clock.now()).toBeGreaterThanOrEqual(START);
});

test("a deadline is met to the millisecond", async () => {
  const clock = new Clock();
  clock.sample(START, performance.now());
  const seen: number[] = [];
  clock.watch((now) => {
    seen.push(now - START);
    return now < START + 4_321 ? START + 4_321 - now : Infinity;
  }, true);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(seen).toEqual([0, 4_321]);
});

test("however many are watched, there are at most ten looks a second", async () => {
  const clock = new Clock();
  clock.sample(START, performance.now());
  const moments = new Set<number>();
  for (let n = 0; n < 200; n++) {
    clock.watch((now) => {
      moments.add(now);
      return 1_000 - ((now + n * 7) % 1_000);
    });
  }
  moments.clear();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(moments.size).toBeLessThanOrEqual(51);
});

test("no timer is left when nobody watches", async () => {
  const clock = new Clock();
  const stop = clock.watch(() => 1_000);
  stop();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a timer that was set before the clock moved does not make a deadline late", async () => {
  const clock = new Clock();
  clock.sample(START, performance.now());
  const seen: number[] = [];
  clock.watch((now) => {
    seen.push(now - START);
    return now < START + 40_000 ? START + 40_000 - now : Infinity;
  }, true);
  // The store is 20 s further than it was thought.
  clock.sample(START + 20_000, performance.now() - 0);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(seen.at(-1)).toBe(40_000);
});
