import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Announcer } from "./announcer.svelte";

let announcer: Announcer;
beforeEach(() => {
  vi.useFakeTimers();
  announcer = new Announcer();
});
afterEach(() => void vi.useRealTimers());

test("at most one sentence a second, and what else came is counted", () => {
  for (const words of ["a", "b", "c", "d"]) announcer.say(words);
  expect(announcer.line).toBe("a");
  vi.advanceTimersByTime(999);
  expect(announcer.line).toBe("a");
  vi.advanceTimersByTime(1);
  expect(announcer.line).toBe("b (and 2 more)");
});

test("what was said does not stay in the page", () => {
  announcer.say("Ana: swordfish", "1");
  vi.advanceTimersByTime(1_000);
  expect(announcer.line).toBe("");
});

test("a message's words go with it, said or still waiting", () => {
  announcer.say("Ana: swordfish", "1");
  announcer.say("Ana: marlin", "2");
  announcer.forget("1");
  expect(announcer.line).toBe("");
  announcer.forget("2");
  vi.advanceTimersByTime(1_000);
  expect(announcer.line).toBe("");
});

test("expiries within five seconds are summed up", () => {
  announcer.expired();
  vi.advanceTimersByTime(3_000);
  announcer.expired();
  vi.advanceTimersByTime(2_000);
  expect(announcer.line).toBe("2 messages expired");
});
