// The whole window over a client in the test's hands: what a person does, what they see.
import { render, screen, within } from "@testing-library/svelte";
import { expect, test, vi } from "vitest";
import App from "./App.svelte";
import { message, settled } from "./test/bench";
import { bodies, box, stage } from "./test/stage";

const on = stage();

async function lobby(...messages: ReturnType<typeof message>[]): Promise<void> {
  render(App, { messenger: on.bench.messenger });
  await on.bench.open(...messages);
  await settled();
}

const article = (text: string): HTMLElement => screen.getByText(text).closest("article") as HTMLElement;

test("the first start proposes a name, says what is wrong with one, and opens the lobby", async () => {
  on.bench.name = null;
  render(App, { messenger: on.bench.messenger });
  await on.bench.messenger.start();
  await settled();
  const name = screen.getByRole<HTMLInputElement>("textbox", { name: "Display name" });
  expect(name.value).toBe("mei");
  await on.user.clear(name);
  await on.user.click(screen.getByRole("button", { name: "Open the lobby" }));
  expect(screen.getByRole("alert").textContent).toBe("a display name cannot be blank");
  await on.user.type(name, "Mei");
  await on.user.click(screen.getByRole("button", { name: "Open the lobby" }));
  expect(box()).toBeTruthy();
  expect(on.bench.name).toBe("Mei");
});

test("Enter sends, Shift+Enter breaks the line, blank is not sent", async () => {
  await lobby();
  await on.user.type(box(), "   {Enter}");
  expect(on.bench.saves.length).toBe(0);
  await on.user.clear(box());
  await on.user.type(box(), "one{Shift>}{Enter}{/Shift}two{Enter}");
  expect(on.bench.saves[0]?.request).toMatchObject({ room: "lobby", message: "one\ntwo", lifetime: 3_600_000 });
  expect(on.bench.saves[0]?.request.id).toMatch(/^[0-9a-f]{32}$/);
  expect(box().value).toBe("");
});

test("Enter inside an input method's composition does not send", async () => {
  await lobby();
  await on.user.type(box(), "にほん");
  box().dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }));
  expect(on.bench.saves.length).toBe(0);
});

test("what is too long is refused with the limit, and stays", async () => {
  await lobby();
  const long = "é".repeat(16 * 1024 + 1);
  await on.user.click(box());
  await on.user.paste(long);
  await on.user.click(screen.getByRole("button", { name: "Send" }));
  expect(screen.getByRole("alert").textContent).toContain("32 KiB");
  expect([box().value === long, on.bench.saves.length]).toEqual([true, 0]);
});

test("a message of one's own waits, is refused, is tried again under its id, and is sent", async () => {
  await lobby();
  await on.user.type(box(), "hello{Enter}");
  const state = (): string => article("hello").querySelector("[data-part=state]")?.textContent ?? "";
  expect(state()).toBe("waiting");
  on.bench.saves[0]?.reject({ code: "full", message: "there is no room left on the disk" });
  await settled();
  expect(state()).toBe("not sent");
  expect(article("hello").textContent).toContain("The store is full.");
  await on.user.click(within(article("hello")).getByRole("button", { name: "Retry" }));
  expect(on.bench.saves[1]?.request.id).toBe(on.bench.saves[0]?.request.id);
  on.bench.saves[1]?.accept({});
  await settled();
  expect(state()).toBe("sent");
  expect(bodies()).toEqual(["hello"]);
});

test("what may have arrived is sent again as a new message, with its words", async () => {
  await lobby();
  await on.user.type(box(), "hello{Enter}");
  on.bench.saves[0]?.reject({ code: "ended", message: "this message has ended" });
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Retry" }));
  expect(on.bench.saves[1]?.request.message).toBe("hello");
  expect(on.bench.saves[1]?.request.id).not.toBe(on.bench.saves[0]?.request.id);
  expect(bodies()).toEqual(["hello"]);
});

test("what was typed outlives a store that could not be opened", async () => {
  on.bench.trouble = { code: "full", message: "no room" };
  render(App, { messenger: on.bench.messenger });
  const start = on.bench.messenger.start();
  await Promise.resolve();
  await start;
  await settled();
  on.bench.trouble = undefined;
  await on.user.click(screen.getByRole("button", { name: "Try again" }));
  await settled();
  await on.user.type(box(), "a draft");
  on.bench.trouble = { code: "full", message: "no room" };
  await on.bench.messenger.connect();
  await settled();
  on.bench.trouble = undefined;
  await on.user.click(screen.getByRole("button", { name: "Try again" }));
  await settled();
  expect(box().value).toBe("a draft");
});

test("Edit puts what was not sent back into the composer, with its lifetime", async () => {
  await lobby();
  await on.user.click(screen.getByRole("button", { name: "Lifetime" }));
  await on.user.click(screen.getByRole("menuitemradio", { name: "10 s", hidden: true }));
  await on.user.type(box(), "helo{Enter}");
  on.bench.saves[0]?.reject({ code: "unreachable", message: "no answer" });
  await settled();
  await on.user.click(screen.getByRole("button", { name: "Edit" }));
  expect([box().value, bodies()]).toEqual(["helo", []]);
  await on.user.type(box(), "{Enter}");
  expect(on.bench.saves[1]?.request.lifetime).toBe(10_000);
});

test("hostile text is text", async () => {
  const text = "<img src=x onerror=alert(1)> {@html '<b>'} &lt;i&gt;";
  await lobby(message(text), message("x", 60_000, { pieces: [{ kind: "plain", text: "<b>bold</b>" }, { kind: "control", text: "U+202E" }] }));
  expect(bodies()).toEqual([text, "<b>bold</b>U+202E"]);
  expect(document.querySelectorAll("article :is(img, b, i)").length).toBe(0);
});

test("a link leaves only after its real host was shown", async () => {
  const link = { kind: "link" as const, text: "https://bank.example@evil.example", url: "https://bank.example@evil.example/", host: "evil.example" };
  await lobby(message(link.text, 60_000, { pieces: [link] }));
  await on.user.click(screen.getByText(link.text));
  const ask = document.querySelector<HTMLElement>("[role=dialog][aria-label='Open a link']") as HTMLElement;
  expect(ask.textContent).toContain("evil.example");
  expect(on.bench.opened).toEqual([]);
  await on.user.click(within(ask).getByText("Open"));
  expect(on.bench.opened).toEqual([link.url]);
});

test("a lifetime is for the next message only", async () => {
  await lobby();
  await on.user.click(screen.getByRole("button", { name: "Lifetime" }));
  await on.user.click(screen.getByRole("menuitemradio", { name: "10 min", hidden: true }));
  await on.user.type(box(), "a{Enter}b{Enter}");
  expect(on.bench.saves.map((save) => save.request.lifetime)).toEqual([600_000, 3_600_000]);
});

test("a lifetime of one's own has its range named", async () => {
  await lobby();
  await on.user.click(screen.getByRole("button", { name: "Lifetime" }));
  await on.user.click(screen.getByRole("menuitem", { name: "Custom", hidden: true }));
  const field = screen.getByRole("spinbutton", { name: "How long", hidden: true });
  await on.user.clear(field);
  await on.user.type(field, "0");
  await on.user.click(screen.getByText("Set"));
  expect(screen.getByText("A lifetime is between 1 s and 30 d.")).toBeTruthy();
  await on.user.clear(field);
  await on.user.type(field, "2");
  await on.user.click(screen.getByText("Set"));
  await on.user.type(box(), "x{Enter}");
  expect(on.bench.saves[0]?.request.lifetime).toBe(120_000);
});

test("Delete now wants a second press within four seconds", async () => {
  await lobby(message("mine", 60_000, { mine: true }));
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  await on.user.click(screen.getByText("Delete now"));
  expect(screen.getByText("Delete for everybody?")).toBeTruthy();
  await vi.advanceTimersByTimeAsync(4_000);
  await settled();
  await on.user.click(screen.getByText("Delete now"));
  expect(on.bench.deleted).toEqual([]);
  await on.user.click(screen.getByText("Delete for everybody?"));
  expect(on.bench.deleted.length).toBe(1);
});

test("others' messages are not offered for deletion", async () => {
  await lobby(message("theirs"));
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  expect(screen.getByText("Copy")).toBeTruthy();
  expect(screen.queryByText("Delete now")).toBeNull();
});

test("at its deadline the words leave first, while a pressed pointer keeps the place", async () => {
  await lobby(message("soon gone", 5_000), message("stays"));
  const log = screen.getByRole("log");
  log.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(bodies()).toEqual(["", "stays"]);
  expect(log.textContent).not.toContain("soon gone");
  window.dispatchEvent(new Event("pointerup"));
  await settled();
  expect(bodies()).toEqual(["stays"]);
});

test("when the focused message goes, the focus moves to the next, then to the composer", async () => {
  await lobby(message("first", 5_000), message("second", 8_000));
  article("first").focus();
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(document.activeElement).toBe(article("second"));
  await vi.advanceTimersByTimeAsync(3_000);
  await settled();
  expect(document.activeElement).toBe(box());
});

test("a menu closes when its message goes", async () => {
  await lobby(message("soon gone", 5_000));
  await on.user.click(screen.getByRole("button", { name: "Message actions" }));
  await vi.advanceTimersByTimeAsync(5_000);
  await settled();
  expect(screen.queryByText("Copy")).toBeNull();
});

test("arrows go through the messages, C copies, Escape returns", async () => {
  const [a, b] = [message("a"), message("b")];
  await lobby(a, b);
  await on.user.click(box());
  await on.user.keyboard("{ArrowUp}");
  expect(document.activeElement).toBe(article("b"));
  await on.user.keyboard("{ArrowUp}");
  expect(document.activeElement).toBe(article("a"));
  await on.user.keyboard("c");
  expect(on.bench.copied).toEqual([a.id]);
  await on.user.keyboard("{Escape}");
  expect(document.activeElement).toBe(box());
});

test("ticking is never announced, an arrival is", async () => {
  await lobby(message("old", 50_000));
  const line = document.querySelector("[aria-live=polite]");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(line?.textContent).toBe("");
  on.bench.emit({ event: "saved", message: message("hello") });
  await settled();
  expect(line?.textContent).toBe("Ana: hello");
  expect(screen.getByRole("log").getAttribute("aria-live")).toBe("off");
});

test.each([
  ["corrupt", "The store on this computer is damaged.", "Start empty"],
  ["in_use", "The store is open somewhere else.", "Try again"],
  ["unsupported", "This store cannot be opened here.", "Try again"],
  ["full", "There is no room on this disk.", "Try again"],
])("a store that cannot be opened is explained: %s", async (code, title, next) => {
  on.bench.trouble = { code, message: "what was found" };
  render(App, { messenger: on.bench.messenger });
  await on.bench.messenger.start();
  await settled();
  expect(screen.getByRole("heading").textContent).toBe(title);
  expect(document.body.textContent).toContain("what was found");
  on.bench.trouble = undefined;
  await on.user.click(screen.getByRole("button", { name: next }));
  await settled();
  expect(box()).toBeTruthy();
});

test("a store that is free again is opened by itself", async () => {
  on.bench.trouble = { code: "in_use", message: "the store is open in tempmsg, process 7" };
  render(App, { messenger: on.bench.messenger });
  await on.bench.messenger.start();
  on.bench.trouble = undefined;
  await vi.advanceTimersByTimeAsync(3_000);
  await settled();
  expect(box()).toBeTruthy();
});

test("names that tests and screen readers rely on", async () => {
  await lobby(message("hello"));
  expect(screen.getByRole("navigation", { name: "Rooms" })).toBeTruthy();
  expect(screen.getByRole("button", { name: "lobby" }).getAttribute("aria-current")).toBe("page");
  expect(screen.getByRole("status", { name: "Connection" }).textContent).toBe("Connected, 0.4 ms");
  expect(article("hello").getAttribute("aria-label")).toMatch(/^Ana, \d\d:\d\d$/);
  expect(article("hello").querySelector("[data-part=countdown]")?.getAttribute("aria-hidden")).toBe("true");
  await on.user.click(screen.getByRole("button", { name: "Settings" }));
  expect(screen.getByRole("dialog", { name: "Settings" })).toBeTruthy();
  expect(document.title).not.toContain("hello");
});

const said = (): string => document.querySelector("p[aria-live=polite]")?.textContent ?? "";

test("no words of a message outlive it anywhere in the page", async () => {
  await lobby();
  on.bench.emit({ event: "saved", message: message("swordfish", 1_000) });
  await settled();
  expect(said()).toBe("Ana: swordfish");
  await vi.advanceTimersByTimeAsync(1_000);
  await settled();
  expect(document.documentElement.textContent).not.toContain("swordfish");
});

test("the focused message, and no other, is said to be near its end", async () => {
  await lobby(message("focused", 12_000), message("other", 13_000));
  article("focused").focus();
  await settled();
  await vi.advanceTimersByTimeAsync(1_900);
  expect(said()).toBe("");
  await vi.advanceTimersByTimeAsync(200);
  await settled();
  expect(said()).toBe("10 seconds left");
  await vi.advanceTimersByTimeAsync(1_500);
  await settled();
  expect(said()).toBe("");
});

test("a refusal is said with its reason", async () => {
  await lobby();
  await on.user.type(box(), "hello{Enter}");
  on.bench.saves[0]?.reject({ code: "full", message: "x" });
  await settled();
  expect(said()).toBe("not sent, the store is full");
});

test("one's own messages within five minutes have one name, waiting or sent", async () => {
  await lobby(message("first", 60_000, { mine: true, author: "Mei" }));
  await on.user.type(box(), "second{Enter}");
  expect(article("second").querySelector(".who")).toBeNull();
  on.bench.saves[0]?.accept({ seq: (Date.now() + 1) * 1024 });
  await settled();
  expect(article("second").querySelector(".who")).toBeNull();
});

test("a room that cannot be read says so, and is asked for again", async () => {
  render(App, { messenger: on.bench.messenger });
  await on.bench.messenger.start();
  on.bench.emit({ event: "page", room: "lobby", messages: [], newer: 0, replace: false, more: true, now: Date.now() });
  await settled();
  expect(screen.getByText("This room cannot be read right now.")).toBeTruthy();
  await on.user.click(screen.getByRole("button", { name: "Try again" }));
  expect(on.bench.shown).toEqual([undefined]);
  on.bench.emit({ event: "page", room: "lobby", messages: [message("back")], newer: 0, replace: true, more: false, now: Date.now() });
  await settled();
  expect(bodies()).toEqual(["back"]);
});

test("Escape returns to Message from anywhere", async () => {
  await lobby(message("a"));
  screen.getByRole("button", { name: "lobby" }).focus();
  await on.user.keyboard("{Escape}");
  expect(document.activeElement).toBe(box());
  screen.getByRole("button", { name: "Message actions" }).focus();
  await on.user.keyboard("{Escape}");
  expect(document.activeElement).toBe(box());
});
