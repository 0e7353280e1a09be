// The messages of one room: changed by events in their order, by the answers to what was sent here, and by the clock.
// Applying an event twice changes nothing.

import type { Event, Failure, Message, Stamp, Waiting } from "../api/types/core";
import type { Clock } from "./clock";
import { Item } from "./item.svelte";

/** Why a message left the list. */
export type Departure = "expired" | "deleted" | "seen" | "replaced";

export class Conversation {
  readonly room: string;
  /** In order: what is accepted by seq, then what is not. */
  items = $state.raw<Item[]>([]);
  /** Whether older ones are alive that are not here. */
  more = $state(false);
  /** How many were skipped because they need a newer version. */
  newer = $state(0);
  /** Whether the newest page has come. */
  loaded = $state(false);
  /** Whether the newest page could not be read. */
  unreadable = $state(false);
  /** Whether an older page has been asked for. */
  waiting = false;
  /** The last older page could not be read: it is asked for again when somebody scrolls, not by itself. */
  refused = false;
  #byId = new Map<string, Item>();
  #clock: Clock;
  #stopWatching: () => void = () => {};
  /** Told of what arrives and of what departs, for whoever speaks and whoever holds the focus. */
  onArrival: (item: Item) => void = () => {};
  onDeparture: (item: Item, why: Departure) => void = () => {};
  onFailure: (item: Item, failure: Failure) => void = () => {};

  constructor(room: string, clock: Clock) {
    this.room = room;
    this.#clock = clock;
  }

  /** How many are alive here. */
  get live(): number {
    return this.items.reduce((count, item) => count + (item.state === "accepted" ? 1 : 0), 0);
  }

  get(id: string): Item | undefined {
    return this.#byId.get(id);
  }

  /** Applies events of this room, and those that name a message of it; the list changes once. */
  apply(events: Event[]): void {
    const list = new Set(this.items);
    for (const event of events) this.#applyOne(event, list);
    this.#settle(list);
  }

  #applyOne(event: Event, list: Set<Item>): void {
    switch (event.event) {
      case "saved":
        if (event.message.room === this.room) this.#save(event.message, list, true);
        break;
      case "moved": {
        const item = this.#byId.get(event.id);
        if (item?.state === "accepted" && !item.revealed) item.move(event.deadline);
        break;
      }
      case "ended": {
        const item = this.#byId.get(event.id);
        // One's own eyes are on it: it goes when they have had their time.
        if ((item?.claiming || item?.revealed) && event.why === "seen") break;
        if (item && item.state !== "ended") this.#end(item, event.why);
        if (item && !item.drawn) this.#forget(item, list);
        break;
      }
      case "waiting":
        if (event.message.room === this.room) this.#wait(event.message, list);
        break;
      case "accepted": {
        const item = this.#byId.get(event.stamp.id);
        if (item?.state === "pending" || item?.state === "failed") item.stamp(event.stamp);
        break;
      }
      case "unsent": {
        const item = this.#byId.get(event.id);
        if (item?.state === "pending" || item?.state === "failed") this.#depart(item, list);
        break;
      }
      case "page":
        if (event.room === this.room) this.#page(event, list);
        break;
      default:
        break;
    }
  }

  #page(page: Extract<Event, { event: "page" }>, list: Set<Item>): void {
    if (page.replace) {
      const kept = new Set(page.messages.map((message) => message.id));
      for (const item of list) {
        if (item.state === "accepted" && !item.claiming && !item.revealed && !kept.has(item.id)) this.#drop(item, list);
      }
      this.loaded = true;
      this.unreadable = false;
    } else if (!this.loaded) {
      // Nothing can be older than a page that never came: this is its failure.
      this.unreadable = true;
    }
    this.more = page.more;
    this.newer = page.newer + (page.replace ? 0 : this.newer);
    this.waiting = false;
    this.refused = !page.replace && page.more && page.messages.length === 0;
    for (const message of page.messages) this.#save(message, list, false);
  }

  #save(message: Message, list: Set<Item>, arrives: boolean): void {
    const known = this.#byId.get(message.id);
    if (known) {
      if (known.state !== "ended") known.accept(message);
      return;
    }
    if (message.deadline <= this.#clock.now()) return;
    const item = Item.accepted(message);
    this.#byId.set(item.id, item);
    list.add(item);
    if (arrives) this.onArrival(item);
  }

  /** One's own that the outbox has: also from before this window was opened. */
  #wait(message: Waiting, list: Set<Item>): void {
    let item = this.#byId.get(message.id);
    if (item?.state === "accepted" || item?.state === "ended") return;
    if (!item) {
      item = Item.pending(message.id, message.message, message.lifetime, this.#clock.now());
      this.#byId.set(item.id, item);
      list.add(item);
    }
    if (!message.failure) item.retry();
    else if (item.state === "pending") {
      item.fail(message.failure);
      this.onFailure(item, message.failure);
    }
  }

  /** How many wait to be sent. */
  get unsent(): number {
    return this.items.reduce((count, item) => count + (item.state === "pending" ? 1 : 0), 0);
  }

  /** One's own, shown at once. */
  send(item: Item): void {
    this.#byId.set(item.id, item);
    this.#settle(new Set(this.items).add(item));
  }

  /** The answer to a send: changes only what is still pending, and never adds anything. Tells whether it did. */
  answer(id: string, answer: Stamp | Failure): boolean {
    const item = this.#byId.get(id);
    if (item?.state !== "pending") return false;
    if ("seq" in answer) item.stamp(answer);
    else {
      item.fail(answer);
      this.onFailure(item, answer);
    }
    this.#settle(new Set(this.items));
    return true;
  }

  /** Somebody else was first: it goes once that has been read. */
  missed(item: Item, span: number): void {
    if (item.state !== "accepted") return;
    item.move(Math.min(item.deadline, this.#clock.now() + span));
    this.#settle(new Set(this.items));
  }

  /** The clock takes what was revealed away again. */
  reveal(item: Item, text: string, span: number): void {
    if (item.state !== "accepted") return;
    item.reveal(text, this.#clock.now(), span);
    this.#settle(new Set(this.items));
  }

  /** Takes away what was never sent, or has been seen. */
  discard(item: Item): void {
    const list = new Set(this.items);
    this.#depart(item, list);
    this.#settle(list);
  }

  /** Leaves the list: what is drawn by folding, so that whoever holds the focus can go on. */
  #depart(item: Item, list: Set<Item>): void {
    if (!item.drawn) return this.#drop(item, list);
    item.end();
    this.onDeparture(item, "replaced");
  }

  /** Another store is open now: only what was never accepted is kept. */
  leave(): void {
    const list = new Set(this.items);
    for (const item of this.items) if (item.state === "accepted" || item.state === "ended") this.#drop(item, list);
    this.#settle(list);
    this.close();
    [this.loaded, this.more, this.waiting] = [false, false, false];
  }

  /** The empty place has folded away. */
  folded(item: Item): void {
    if (item.state !== "ended") return;
    const list = new Set(this.items);
    this.#forget(item, list);
    this.#settle(list);
  }

  #end(item: Item, why: Departure): void {
    item.end();
    this.onDeparture(item, why);
  }

  #forget(item: Item, list: Set<Item>): void {
    if (this.#byId.get(item.id) === item) this.#byId.delete(item.id);
    list.delete(item);
  }

  #drop(item: Item, list: Set<Item>): void {
    this.#forget(item, list);
    item.end();
    this.onDeparture(item, "replaced");
  }

  /** Puts the list in order and watches its next deadline. */
  #settle(list: Set<Item>): void {
    this.items = [...list].sort((a, b) => (a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1));
    this.#stopWatching();
    this.#stopWatching = this.#clock.watch(this.#expire, true);
  }

  /** Empties what is due, at its millisecond. What is drawn leaves an empty place that folds; the rest leaves at once. */
  #expire = (now: number): number => {
    let next = Infinity;
    const left = new Set<Item>();
    for (const item of this.items) {
      if (item.state !== "accepted") continue;
      if (item.deadline > now) {
        next = Math.min(next, item.deadline);
        continue;
      }
      this.#end(item, "expired");
      if (item.drawn) continue;
      this.#byId.delete(item.id);
      left.add(item);
    }
    if (left.size > 0) this.items = this.items.filter((item) => !left.has(item));
    return next - now;
  };

  close(): void {
    this.#stopWatching();
  }
}
