// A message that is to be seen once: a card, Reveal, thirty seconds, gone.
import { cleanup, render, screen } from "@testing-library/svelte";
import userEvent, { type UserEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import App from "./App.svelte";
import { Bench, START, message, settled } from "./test/bench";

let bench: Bench;
let user: UserEvent;

beforeEach(() => {
  vi.useFakeTimers({ now: START, toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  user = userEvent.setup({ advanceTimers: (delay) => vi.advanceTimersByTime(delay) });
  bench = new Bench();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function lobby(): Promise<ReturnType<typeof message>> {
  const once = message("", 3_600_000, { once: true });
  render(App, { messenger: bench.messenger });
  await bench.open(once);
  await settled();
  return once;
}

test("it is revealed on a press, stays for thirty seconds whatever is told, and goes", async () => {
  const once = await lobby();
  expect(screen.getByText("To be seen once")).toBeTruthy();
  expect(document.body.textContent).not.toContain("swordfish");
  await user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
  bench.emit({ event: "ended", id: once.id, why: "seen" }, { event: "page", room: "lobby", messages: [], newer: 0, replace: true, more: false, now: START });
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
  await vi.advanceTimersByTimeAsync(30_000);
  await settled();
  expect(document.body.textContent).not.toContain("swordfish");
});

test("it can be closed sooner, and is never copied", async () => {
  await lobby();
  await user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  await user.click(screen.getByRole("button", { name: "Message actions" }));
  expect(screen.queryByRole("menuitem", { name: "Copy", hidden: true })).toBeNull();
  await user.keyboard("{Escape}");
  await user.click(screen.getByRole("button", { name: "Close" }));
  await settled();
  expect(document.body.textContent).not.toContain("swordfish");
});

test("who comes second is told so; a lost answer is asked for with the same nonce", async () => {
  await lobby();
  bench.refusal = { code: "unreachable", message: "the server does not answer" };
  await user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("The server does not answer.")).toBeTruthy();
  bench.refusal = { code: "taken", message: "somebody else has seen it" };
  await user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("Somebody else has seen it.")).toBeTruthy();
  expect(bench.claims[0]).toBe(bench.claims[1]);
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(screen.queryByText("To be seen once")).toBeNull();
});

test("its event may be here before its answer", async () => {
  const once = await lobby();
  let answer: (text: string) => void = () => {};
  bench.claimMessage = () => new Promise((resolve) => (answer = resolve));
  await user.click(screen.getByRole("button", { name: "Reveal" }));
  bench.emit({ event: "ended", id: once.id, why: "seen" });
  await settled();
  answer("swordfish");
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
});
