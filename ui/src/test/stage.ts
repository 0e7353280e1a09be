// The whole window on a stage: its clock stands still, its client is in the test's hands, and somebody sits before it.

import { cleanup, screen } from "@testing-library/svelte";
import userEvent, { type UserEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, vi } from "vitest";
import { Bench, START } from "./bench";

export interface Stage {
  bench: Bench;
  user: UserEvent;
}

/** Set anew before each test of the file. */
export function stage(): Stage {
  const stage = {} as Stage;
  beforeEach(() => {
    vi.useFakeTimers({ now: START, toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    stage.user = userEvent.setup({ advanceTimers: (delay) => vi.advanceTimersByTime(delay) });
    stage.bench = new Bench();
  });
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
  });
  return stage;
}

export const box = (): HTMLTextAreaElement => screen.getByRole("textbox", { name: "Message" });
export const bodies = (): string[] => [...document.querySelectorAll("article [data-part=body]")].map((body) => body.textContent.trim());
