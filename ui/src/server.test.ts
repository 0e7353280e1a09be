// The window on a team's server: what it says of the link, what waits, and Settings > Server.
import { render, screen, within } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import App from "./App.svelte";
import { START, message, settled } from "./test/bench";
import { bodies, box, stage } from "./test/stage";

const on = stage();
const ID = "0123456789abcdef0123456789abcdef";

async function team(...messages: ReturnType<typeof message>[]): Promise<void> {
  on.bench.store = "redis://redis.home.lan:6379";
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(...messages);
  await settled();
}

const states = (): string[] => [...document.querySelectorAll("article [data-part=state]")].map((state) => state.textContent);
const waiting = (id: string, text: string, more = {}) =>
  ({ event: "waiting", message: { id, room: "lobby", message: text, lifetime: 3_600_000, once: false, ...more } }) as const;

test("the composer says who can read, the sidebar where it is", async () => {
  await team();
  expect(screen.getByText("redis.home.lan")).toBeTruthy();
  expect(screen.getByText("open: the server can read this")).toBeTruthy();
  expect(screen.getByText("not encrypted")).toBeTruthy();
});

test("what waits from before is shown, accepted once, and counted while the server is away", async () => {
  await team();
  on.bench.emit(waiting(ID, "from before"), { event: "link", link: { state: "offline", since: START } });
  await settled();
  expect([bodies(), states()]).toEqual([["from before"], ["waiting"]]);
  expect(screen.getByRole("status", { name: "Connection" }).textContent).toBe("Offline, 1 waiting to be sent");
  expect(screen.getByText(/No connection to redis.home.lan since/)).toBeTruthy();
  const asked = on.bench.asked;
  await on.user.click(screen.getByRole("button", { name: "Try now" }));
  expect(on.bench.asked).toBe(asked + 1);
  // Told again, it is the same; its event accepts it.
  on.bench.emit(waiting(ID, "from before"), { event: "saved", message: message("from before", 3_600_000, { id: ID, mine: true }) });
  on.bench.emit(waiting(ID, "from before"), { event: "link", link: { state: "connected", round_trip: 0.4 } });
  await settled();
  expect([bodies(), states()]).toEqual([["from before"], ["sent"]]);
  expect(screen.queryByText(/No connection to/)).toBeNull();
});

test("what waits can be taken back, and is then erased in the outbox too", async () => {
  await team();
  on.bench.emit(waiting(ID, "half a thought"));
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  await on.user.click(screen.getByRole("menuitem", { name: "Edit", hidden: true }));
  expect([box().value, bodies(), on.bench.deleted]).toEqual(["half a thought", [], [ID]]);
});

test("what was accepted while nobody looked is accepted, and what was deleted does not come back", async () => {
  await team();
  on.bench.emit(waiting(ID, "accepted elsewhere"));
  await settled();
  on.bench.emit({ event: "accepted", stamp: { id: ID, seq: START * 1024, accepted: START, deadline: START + 5_000, now: START } });
  await settled();
  expect(states()).toEqual(["sent"]);
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(bodies()).toEqual([]);
  const other = ID.replace("0", "f");
  on.bench.emit(waiting(other, "deleted"));
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  await on.user.click(screen.getByRole("menuitem", { name: "Delete now", hidden: true }));
  await settled();
  expect([bodies(), on.bench.deleted]).toEqual([[], [other]]);
  on.bench.emit(waiting(other, "deleted", { failure: { code: "full", message: "full" } }), { event: "ended", id: other, why: "deleted" });
  await settled();
  expect(bodies()).toEqual([]);
});

test("what failed keeps its reason; what waited too long is one line", async () => {
  await team();
  on.bench.emit(waiting(ID, "too much", { failure: { code: "full", message: "full" } }));
  await settled();
  expect(states()).toEqual(["not sent"]);
  expect(screen.getByText("The store is full.")).toBeTruthy();
  on.bench.emit({ event: "unsent", id: ID });
  await settled();
  expect(bodies()).toEqual([]);
  expect(screen.getByText("1 message waited too long and was not sent.")).toBeTruthy();
  await on.user.click(screen.getByRole("button", { name: "Close" }));
  expect(screen.queryByText(/waited too long/)).toBeNull();
});

test("a server that forgot everything, and one that says no, are told as such", async () => {
  await team(message("was there"));
  on.bench.emit({ event: "forgot" }, { event: "reset" }, { event: "page", room: "lobby", messages: [], newer: 0, replace: true, more: false, now: START });
  on.bench.emit({ event: "link", link: { state: "refused", message: "the server refuses this user or password" } });
  await settled();
  expect(bodies()).toEqual([]);
  // Shown, and said once.
  expect(screen.getAllByText(/^The server forgot everything at \d\d:\d\d\.$/).length).toBe(2);
  expect(screen.getByRole("status", { name: "Connection" }).textContent).toBe("Refused by the server");
  await on.user.click(screen.getByRole("button", { name: "Server settings" }));
  expect(document.activeElement).toBe(screen.getByRole("textbox", { name: "Server address" }));
});

test("a server is tested, refused in words, and gone over to", async () => {
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(message("on this computer"));
  await settled();
  await on.user.type(box(), "a draft");
  await on.user.click(screen.getByRole("button", { name: "Settings" }));
  const dialog = within(screen.getByRole("dialog", { name: "Settings" }));
  await on.user.type(dialog.getByRole("textbox", { name: "Server address" }), "redis.home.lan");
  await on.user.type(dialog.getByRole("textbox", { name: "User" }), "ana");
  await on.user.type(dialog.getByLabelText("Password"), "swordfish");
  await on.user.click(dialog.getByRole("button", { name: "Test connection" }));
  await settled();
  expect(dialog.getByText("Konnichiwa! Redis 7.0.15, 0.4 ms, clock +12 ms")).toBeTruthy();
  expect(dialog.getByText("appendonly no")).toBeTruthy();
  const wanted = { store: "redis://ana@redis.home.lan", password: "swordfish", tls: {} };
  expect(on.bench.connects).toEqual([wanted]);
  on.bench.refusal = { code: "refused", message: "the server refuses this user or password" };
  await on.user.click(dialog.getByRole("button", { name: "Connect" }));
  await settled();
  expect(dialog.getByRole("alert").textContent).toBe("The server refuses this user or password.");
  expect(bodies()).toEqual(["on this computer"]);
  on.bench.refusal = undefined;
  await on.user.click(dialog.getByRole("button", { name: "Connect" }));
  await settled();
  expect(screen.queryByRole("dialog")).toBeNull();
  expect([bodies(), box().value]).toEqual([[], "a draft"]);
});

test("what failed on one store is there again when one comes back to it", async () => {
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(message("on this computer"));
  await settled();
  await on.user.type(box(), "typed here{Enter}");
  on.bench.saves[0]?.reject({ code: "full", message: "full" });
  await settled();
  expect(states()).toEqual(["not sent"]);
  await on.bench.messenger.goOver({ store: "redis://redis.home.lan" });
  await settled();
  expect(bodies()).toEqual([]);
  await on.bench.messenger.goOver({ store: "sled:" });
  await settled();
  expect([bodies(), states()]).toEqual([["typed here"], ["not sent"]]);
});

test("what a newer version wrote is counted", async () => {
  await team();
  on.bench.emit({ event: "page", room: "lobby", messages: [], newer: 2, replace: true, more: false, now: START });
  await settled();
  expect(screen.getByText("2 messages need a newer version.")).toBeTruthy();
});

test("an address on the network without TLS warns", async () => {
  render(App, { messenger: on.bench.messenger });
  await on.bench.open();
  await on.user.click(screen.getByRole("button", { name: "Settings" }));
  const address = screen.getByRole("textbox", { name: "Server address" });
  for (const [text, warns] of [["redis://redis.home.lan", true], ["redis://localhost:7000", false], ["rediss://redis.home.lan", false], ["redis+sentinel://a,b/m", true]] as const) {
    await on.user.clear(address);
    await on.user.type(address, text.replace("[", "[["));
    expect(screen.queryByText(/Without TLS anyone on this network/) !== null, text).toBe(warns);
  }
});

test("the first start offers both ways", async () => {
  on.bench.name = null;
  render(App, { messenger: on.bench.messenger });
  await on.bench.messenger.start();
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Connect to our Redis" }));
  await vi.waitFor(() => screen.getByRole("dialog", { name: "Settings" }));
  expect(document.activeElement).toBe(screen.getByRole("textbox", { name: "Server address" }));
});
