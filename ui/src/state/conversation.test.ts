import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { START, message } from "../test/bench";
import { Clock } from "./clock";
import { Conversation } from "./conversation.svelte";
import { Item } from "./item.svelte";
import type { Event, Message } from "../api/types/core";

let conversation: Conversation;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  const clock = new Clock();
  clock.sample(START, performance.now());
  conversation = new Conversation("lobby", clock);
});
afterEach(() => {
  conversation.close();
  vi.useRealTimers();
});

const page = (messages: Message[], replace = true, more = false): Event => ({ event: "page", room: "lobby", messages, newer: 0, replace, more, now: Date.now() });
const saved = (message: Message): Event => ({ event: "saved", message });
const ended = (id: string): Event => ({ event: "ended", id, why: "deleted" });
const texts = (): string[] => conversation.items.filter((item) => item.state !== "ended").map((item) => item.text);
const pending = (id: string, text: string): Item => {
  const item = Item.pending(id, text, 60_000, Date.now());
  conversation.send(item);
  return item;
};

test("applying any event twice changes nothing", () => {
  const [a, b] = [message("a"), message("b")];
  const events: Event[] = [page([a]), saved(b), { event: "moved", id: b.id, deadline: b.deadline + 5 }, ended(a.id)];
  for (const event of events) {
    conversation.apply([event]);
    const before = texts();
    conversation.apply([event]);
    expect(texts()).toEqual(before);
  }
  expect(texts()).toEqual(["b"]);
  expect(conversation.get(b.id)?.deadline).toBe(b.deadline + 5);
});

test("order is the order of acceptance, whatever comes first", () => {
  const [a, b, c] = [message("a"), message("b"), message("c")];
  conversation.apply([page([c]), saved(b)]);
  conversation.apply([page([a], false)]);
  expect(texts()).toEqual(["a", "b", "c"]);
});

test("a page that replaces takes away what is accepted, and keeps what is not", () => {
  const [old, fresh] = [message("old"), message("fresh")];
  conversation.apply([page([old])]);
  pending("p".padStart(32, "0"), "pending");
  const failed = pending("f".padStart(32, "0"), "failed");
  conversation.answer(failed.id, { code: "full", message: "full" });
  conversation.apply([page([fresh])]);
  expect(texts()).toEqual(["fresh", "pending", "failed"]);
  expect(conversation.items.map((item) => item.state)).toEqual(["accepted", "pending", "failed"]);
});

test("an article that a page confirms stays the same one", () => {
  const a = message("a");
  conversation.apply([page([a])]);
  const item = conversation.get(a.id);
  conversation.apply([page([a, message("b")])]);
  expect(conversation.get(a.id)).toBe(item);
});

test.each(["answer first", "event first"])("a message of one's own is accepted once: %s", (order) => {
  const own = message("mine", 60_000, { mine: true });
  const item = pending(own.id, "mine");
  const answer = (): unknown => conversation.answer(own.id, { id: own.id, seq: own.seq, accepted: own.accepted, deadline: own.deadline, now: own.accepted });
  const event = (): void => conversation.apply([saved(own)]);
  if (order === "answer first") (answer(), event());
  else (event(), answer());
  expect(conversation.items).toEqual([item]);
  expect([item.state, item.seq]).toEqual(["accepted", own.seq]);
});

test("an answer never adds a message that is gone already", () => {
  const own = message("mine", 60_000, { mine: true });
  pending(own.id, "mine");
  conversation.apply([saved(own), ended(own.id)]);
  const item = conversation.get(own.id);
  if (item) conversation.folded(item);
  conversation.answer(own.id, { id: own.id, seq: own.seq, accepted: own.accepted, deadline: own.deadline, now: own.accepted });
  expect(conversation.items).toEqual([]);
});

test("an answer never turns what was accepted into a failure", () => {
  const own = message("mine", 60_000, { mine: true });
  pending(own.id, "mine");
  conversation.apply([saved(own)]);
  conversation.answer(own.id, { code: "unreachable", message: "no answer" });
  expect(conversation.get(own.id)?.state).toBe("accepted");
});

test("at its deadline a message is emptied, and its place stays until it has folded", async () => {
  const [soon, later] = [message("soon", 5_000), message("later", 60_000)];
  const departed: string[] = [];
  conversation.onDeparture = (item, why) => departed.push(`${item.id === soon.id} ${why}`);
  conversation.apply([page([soon, later])]);
  for (const item of conversation.items) item.drawn = true;
  await vi.advanceTimersByTimeAsync(4_999);
  expect(texts()).toEqual(["soon", "later"]);
  await vi.advanceTimersByTimeAsync(1);
  const item = conversation.get(soon.id);
  expect([item?.state, item?.text, conversation.live]).toEqual(["ended", "", 1]);
  expect(departed).toEqual(["true expired"]);
  if (item) conversation.folded(item);
  expect(conversation.items.length).toBe(1);
});

test("what is not drawn has no place to fold: it leaves at once, expired or deleted", async () => {
  const [soon, deleted, later] = [message("soon", 5_000), message("deleted"), message("later")];
  conversation.apply([page([soon, deleted, later])]);
  conversation.apply([ended(deleted.id)]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(conversation.items.map((item) => item.text)).toEqual(["later"]);
  expect([conversation.get(soon.id), conversation.get(deleted.id)]).toEqual([undefined, undefined]);
});

test("a first page that cannot be read is a failure of the room, until it can", () => {
  conversation.apply([page([], false, true)]);
  expect([conversation.unreadable, conversation.loaded]).toEqual([true, false]);
  conversation.apply([page([message("a")])]);
  expect([conversation.unreadable, conversation.loaded]).toEqual([false, true]);
  conversation.waiting = true;
  conversation.apply([page([], false, true)]);
  expect([conversation.unreadable, conversation.waiting, conversation.more]).toEqual([false, false, true]);
});

test("what has ended already is never shown", () => {
  const late = message("late", 1_000);
  vi.setSystemTime(START + 1_000);
  conversation.apply([saved(late), page([late])]);
  expect(texts()).toEqual([]);
});

test("other rooms' messages are not shown here", () => {
  conversation.apply([saved(message("elsewhere", 60_000, { room: "ops" }))]);
  expect(conversation.items).toEqual([]);
});
