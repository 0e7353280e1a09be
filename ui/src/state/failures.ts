// Why a message was not sent, in the window's own words.

import type { Failure } from "../api/types/core";

export const LONGEST_TEXT = 32 * 1024;

/** Plain, short, and what is rather than what went wrong. */
export function reason(failure: Failure): string {
  switch (failure.code) {
    case "full":
      return "The store is full.";
    case "refused":
      return "The server refused it.";
    case "too_large":
      return "It is too long (32 KiB at most).";
    case "unreachable":
      return "The store does not answer.";
    case "in_use":
      return "The store is open somewhere else.";
    case "ended":
      return "It may have arrived. Send again?";
    default:
      return sentence(failure.message);
  }
}

/** What the core says begins small and ends open; here it stands alone. */
export function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? "" : ".");
}

/** The same within a sentence: `the store is full`. */
export function aside(failure: Failure): string {
  const said = reason(failure).replace(/\.$/, "");
  return said.charAt(0).toLowerCase() + said.slice(1);
}
