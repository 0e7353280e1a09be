// Rooms: opened, made, each with what is being written and what waits in it.
import { cleanup, render, screen } from "@testing-library/svelte";
import userEvent, { type UserEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import App from "./App.svelte";
import { Bench, START, message, settled } from "./test/bench";

let bench: Bench;
let user: UserEvent;
const ID = "0123456789abcdef0123456789abcdef";
const OPS = { event: "room", room: { name: "ops", lifetime: 600_000, longest: 2_592_000_000, live: 1 } } as const;

beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  user = userEvent.setup({ advanceTimers: (delay) => vi.advanceTimersByTime(delay) });
  bench = new Bench();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function lobby(...messages: ReturnType<typeof message>[]): Promise<void> {
  render(App, { messenger: bench.messenger });
  await bench.open(...messages);
  bench.emit(OPS);
  await settled();
}

const box = (): HTMLTextAreaElement => screen.getByRole("textbox", { name: "Message" });
const bodies = (): string[] => [...document.querySelectorAll("article [data-part=body]")].map((body) => body.textContent.trim());
const room = (name: string): HTMLElement => screen.getByRole("button", { name });
const page = (name: string, ...messages: ReturnType<typeof message>[]) =>
  ({ event: "page", room: name, messages, newer: 0, replace: true, more: false, now: START }) as const;

test("a room is opened, with its own messages, draft and lifetime", async () => {
  await lobby(message("in the lobby"));
  await user.type(box(), "half a thought");
  await user.click(room("ops"));
  await settled();
  bench.emit(page("ops", message("in ops", 600_000, { room: "ops" })));
  await settled();
  expect([bodies(), box().value, bench.openedRooms, bench.hidden]).toEqual([["in ops"], "", ["ops"], ["lobby"]]);
  expect(room("ops").getAttribute("aria-current")).toBe("page");
  expect(document.activeElement).toBe(box());
  await user.type(box(), "for ops{Enter}");
  expect([bench.saves[0]?.request.room, bench.saves[0]?.request.lifetime]).toEqual(["ops", 600_000]);
  await user.keyboard("{Alt>}{ArrowUp}{/Alt}");
  await settled();
  bench.emit(page("lobby", message("in the lobby")));
  await settled();
  expect([bodies(), box().value]).toEqual([["in the lobby"], "half a thought"]);
});

test("what another room is told changes nothing here; what waits there is there", async () => {
  bench.store = "redis://redis.home.lan:6379";
  await lobby();
  bench.emit({ event: "waiting", message: { id: ID, room: "ops", message: "waits in ops", lifetime: 600_000, once: false } });
  bench.emit({ event: "saved", message: message("elsewhere", 600_000, { room: "ops" }) });
  await settled();
  expect(bodies()).toEqual([]);
  await user.click(room("ops"));
  await settled();
  expect(bodies()).toEqual(["waits in ops"]);
  // Accepted while another room is open, it does not come back as waiting.
  await user.click(room("lobby"));
  await settled();
  bench.emit({ event: "accepted", stamp: { id: ID, seq: START * 1024, accepted: START, deadline: START + 600_000, now: START } });
  await user.click(room("ops"));
  bench.emit(page("ops"));
  await settled();
  expect(document.querySelectorAll("article [data-part=state]").length).toBe(0);
});

test("a room is made, and refused in words", async () => {
  await lobby();
  await user.click(screen.getByRole("button", { name: "New room" }));
  await user.click(screen.getByRole("button", { name: "Create room", hidden: true }));
  await settled();
  expect(screen.getByText("A room's name has 1 to 64 characters, and no control characters.")).toBeTruthy();
  await user.type(screen.getByRole("textbox", { name: "Room name", hidden: true }), "night shift");
  await user.click(screen.getByRole("button", { name: "Create room", hidden: true }));
  await settled();
  expect(room("night shift").getAttribute("aria-current")).toBe("page");
  expect(bench.openedRooms).toEqual(["night shift"]);
});
