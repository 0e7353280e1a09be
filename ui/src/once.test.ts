// A message that is to be seen once: a card, Reveal, thirty seconds, gone.
import { render, screen } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import App from "./App.svelte";
import { START, message, settled } from "./test/bench";
import { stage } from "./test/stage";

const on = stage();

async function lobby(): Promise<ReturnType<typeof message>> {
  const once = message("", 3_600_000, { once: true });
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(once);
  await settled();
  return once;
}

test("it is revealed on a press, stays for thirty seconds whatever is told, and goes", async () => {
  const once = await lobby();
  expect(screen.getByText("To be seen once")).toBeTruthy();
  expect(document.body.textContent).not.toContain("swordfish");
  await on.user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
  on.bench.emit({ event: "ended", id: once.id, why: "seen" }, { event: "page", room: "lobby", messages: [], newer: 0, replace: true, more: false, now: START });
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
  await vi.advanceTimersByTimeAsync(30_000);
  await settled();
  expect(document.body.textContent).not.toContain("swordfish");
});

test("it can be closed sooner, and is never copied", async () => {
  await lobby();
  await on.user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  expect(screen.queryByRole("menuitem", { name: "Copy", hidden: true })).toBeNull();
  await on.user.keyboard("{Escape}");
  await on.user.click(screen.getByRole("button", { name: "Close" }));
  await settled();
  expect(document.body.textContent).not.toContain("swordfish");
});

test("who comes second is told so; a lost answer is asked for with the same nonce", async () => {
  await lobby();
  on.bench.refusal = { code: "unreachable", message: "the server does not answer" };
  await on.user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("The server does not answer.")).toBeTruthy();
  on.bench.refusal = { code: "taken", message: "somebody else has seen it" };
  await on.user.click(screen.getByRole("button", { name: "Reveal" }));
  await settled();
  expect(screen.getByText("Somebody else has seen it.")).toBeTruthy();
  expect(on.bench.claims[0]).toBe(on.bench.claims[1]);
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(screen.queryByText("To be seen once")).toBeNull();
});

test("its event may be here before its answer", async () => {
  const once = await lobby();
  let answer: (text: string) => void = () => {};
  on.bench.claimMessage = () => new Promise((resolve) => (answer = resolve));
  await on.user.click(screen.getByRole("button", { name: "Reveal" }));
  on.bench.emit({ event: "ended", id: once.id, why: "seen" });
  await settled();
  answer("swordfish");
  await settled();
  expect(screen.getByText("swordfish")).toBeTruthy();
});
