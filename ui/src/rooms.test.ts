// Rooms: opened, made, each with what is being written and what waits in it.
import { render, screen } from "@testing-library/svelte";
import { expect, test } from "vitest";
import App from "./App.svelte";
import { START, message, settled } from "./test/bench";
import { bodies, box, stage } from "./test/stage";

const on = stage();
const ID = "0123456789abcdef0123456789abcdef";
const OPS = { event: "room", room: { name: "ops", lifetime: 600_000, longest: 2_592_000_000, live: 1 } } as const;

async function lobby(...messages: ReturnType<typeof message>[]): Promise<void> {
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(...messages);
  on.bench.emit(OPS);
  await settled();
}

const room = (name: string): HTMLElement => screen.getByRole("button", { name });
const page = (name: string, ...messages: ReturnType<typeof message>[]) =>
  ({ event: "page", room: name, messages, newer: 0, replace: true, more: false, now: START }) as const;

test("a room is opened, with its own messages, draft and lifetime", async () => {
  await lobby(message("in the lobby"));
  await on.user.type(box(), "half a thought");
  await on.user.click(room("ops"));
  await settled();
  on.bench.emit(page("ops", message("in ops", 600_000, { room: "ops" })));
  await settled();
  expect([bodies(), box().value, on.bench.openedRooms, on.bench.hidden]).toEqual([["in ops"], "", ["ops"], ["lobby"]]);
  expect(room("ops").getAttribute("aria-current")).toBe("page");
  expect(document.activeElement).toBe(box());
  await on.user.type(box(), "for ops{Enter}");
  expect([on.bench.saves[0]?.request.room, on.bench.saves[0]?.request.lifetime]).toEqual(["ops", 600_000]);
  await on.user.keyboard("{Alt>}{ArrowUp}{/Alt}");
  await settled();
  on.bench.emit(page("lobby", message("in the lobby")));
  await settled();
  expect([bodies(), box().value]).toEqual([["in the lobby"], "half a thought"]);
});

test("what another room is told changes nothing here; what waits there is there", async () => {
  on.bench.store = "redis://redis.home.lan:6379";
  await lobby();
  on.bench.emit({ event: "waiting", message: { id: ID, room: "ops", message: "waits in ops", lifetime: 600_000, once: false } });
  on.bench.emit({ event: "saved", message: message("elsewhere", 600_000, { room: "ops" }) });
  await settled();
  expect(bodies()).toEqual([]);
  await on.user.click(room("ops"));
  await settled();
  expect(bodies()).toEqual(["waits in ops"]);
  // Accepted while another room is open, it does not come back as waiting.
  await on.user.click(room("lobby"));
  await settled();
  on.bench.emit({ event: "accepted", stamp: { id: ID, seq: START * 1024, accepted: START, deadline: START + 600_000, now: START } });
  await on.user.click(room("ops"));
  on.bench.emit(page("ops"));
  await settled();
  expect(document.querySelectorAll("article [data-part=state]").length).toBe(0);
});

test("a room is made, and refused in words", async () => {
  await lobby();
  await on.user.click(screen.getByRole("button", { name: "New room" }));
  await on.user.click(screen.getByRole("button", { name: "Create room", hidden: true }));
  await settled();
  expect(screen.getByText("A room's name has 1 to 64 characters, and no control characters.")).toBeTruthy();
  await on.user.type(screen.getByRole("textbox", { name: "Room name", hidden: true }), "night shift");
  await on.user.click(screen.getByRole("button", { name: "Create room", hidden: true }));
  await settled();
  expect(room("night shift").getAttribute("aria-current")).toBe("page");
  expect(on.bench.openedRooms).toEqual(["night shift"]);
});
