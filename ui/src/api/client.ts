// The only door to the messenger: what the page may ask for, whoever answers. `tauri.ts` implements it for the window.

import type { Batch, Configure, Connect, Failure, Konnichiwa, PutRoom, Room, SaveMessage, Stamp, Status } from "./types/core";

export interface Subscription {
  /** A room's newest page, or the page before the message of this `seq`; it comes in the stream. */
  show(room: string, before?: number): Promise<void>;
  /** No more of that room in snapshots. */
  hide(room: string): Promise<void>;
}

/** Every call rejects with a `Failure`. */
export interface Client {
  status(): Promise<Status>;
  configure(change: Configure): Promise<Status>;
  konnichiwa(): Promise<Konnichiwa>;
  /** Whether another store would answer, without going over to it. */
  testConnection(request: Connect): Promise<Konnichiwa>;
  /** Goes over to another store, once that has answered; subscriptions end. */
  connect(request: Connect): Promise<Status>;
  saveMessage(request: SaveMessage): Promise<Stamp>;
  putRoom(request: PutRoom): Promise<Room>;
  /** The text of a message to be seen once, which ends it for everybody; the same nonce gets it again for 30 s. */
  claimMessage(id: string, nonce: string): Promise<string>;
  deleteMessage(id: string): Promise<void>;
  /** A snapshot of these rooms, then every change. A batch is acknowledged when `apply` returns. */
  events(rooms: string[], apply: (batch: Batch) => void): Promise<Subscription>;
  /** Puts a message's text, or a link that is in it, on the clipboard, and clears it there at min(60 s, its deadline). */
  copyMessage(id: string, link?: string): Promise<void>;
  openLink(url: string): Promise<void>;
  startEmpty(): Promise<void>;
  showFolder(): Promise<void>;
}

/** What a rejected call says; anything that is no `Failure` is a fault of ours. */
export function failure(reason: unknown): Failure {
  if (typeof reason === "object" && reason !== null && "code" in reason && "message" in reason) {
    return reason as Failure;
  }
  return { code: "internal", message: String(reason) };
}
