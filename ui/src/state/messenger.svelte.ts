// The window's whole state: where it stands (first start, trouble, open), the link, and the room that is open.
// Events come in batches, in order; what the person does goes out through the client.

import { failure, type Client, type Subscription } from "../api/client";
import type { Batch, Connect, Failure, Link, Room, Status, Waiting } from "../api/types/core";
import { Announcer } from "./announcer.svelte";
import { aside } from "./failures";
import { Clock } from "./clock";
import { Conversation } from "./conversation.svelte";
import { Item } from "./item.svelte";
import { time } from "./lifetimes";
import { HOUR, DAY } from "./remaining";

/** How long until a store that is open somewhere else is tried again. */
const RETRY = 3_000;
/** How often the store is asked for its now. */
const SAMPLE = 60_000;
const FIRST_SAMPLES = 3;
/** How long what is seen once is shown. */
const REVEALED = 30_000;
/** How long it is said that somebody else has seen it. */
const MISSED = 5_000;

export class Messenger {
  status = $state.raw<Status | undefined>();
  /** Why no store is open. */
  trouble = $state.raw<Failure | undefined>();
  /** The store that is being opened. */
  #opening: Promise<void> | undefined;
  /** Whether another store is being gone over to. */
  goingOver = $state(false);
  /** Conversations that were left, for what was never accepted in them. */
  #left = new Map<string, Conversation>();
  /** What waits to be sent, also in rooms that are not open. */
  #waiting = new Map<string, Waiting>();
  /** Counts subscriptions: what an earlier one sent may still be on its way. */
  #generation = 0;
  link = $state.raw<Link | undefined>();
  rooms = $state.raw<Room[]>([]);
  conversation = $state.raw<Conversation | undefined>();
  /** When the server forgot everything, as people read it. */
  forgot = $state("");
  /** How many messages waited too long. */
  unsent = $state(0);
  readonly announcer = new Announcer();
  readonly clock = new Clock(() => void this.#sample());
  readonly client: Client;
  #subscription: Subscription | undefined;
  #asking = false;
  #sampling: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client) {
    this.client = client;
  }

  /** The room that is open, as the store has it. */
  get room(): Room {
    const name = this.conversation?.room ?? this.status?.settings.room ?? "lobby";
    return this.rooms.find((room) => room.name === name) ?? { name, lifetime: HOUR, longest: 30 * DAY, live: 0 };
  }

  async start(): Promise<void> {
    try {
      this.status = await this.client.status();
    } catch (reason) {
      this.trouble = failure(reason);
      return;
    }
    this.trouble = undefined;
    if (this.status.settings.name !== null) await this.connect();
  }

  /** The first start is over, or the name is another one. Rejects with a `Failure`. */
  async rename(name: string): Promise<void> {
    const first = this.status?.settings.name == null;
    this.status = await this.client.configure({ name });
    if (first) await this.connect();
  }

  /** Opens the store and follows it; where it cannot be opened, says why. */
  connect(): Promise<void> {
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (!this.status) return;
    clearTimeout(this.#retry);
    const conversation = this.#enter(this.status.settings.room);
    try {
      // A server that is away is no trouble: what is written waits for it.
      if (!this.status.server) await this.#firstSamples();
      const generation = ++this.#generation;
      this.#waiting.clear();
      this.#subscription = await this.client.events([conversation.room], (batch) => {
        if (generation === this.#generation) this.#apply(batch);
      });
      this.trouble = undefined;
      this.#sampling ??= setInterval(() => {
        if (this.link?.state === "connected") void this.#sample();
      }, SAMPLE);
    } catch (reason) {
      this.trouble = failure(reason);
      if (this.trouble.code === "in_use") this.#retry = setTimeout(() => void this.connect(), RETRY);
    }
  }

  /** Goes over to another store, and begins there anew. Rejects with a `Failure` where that does not answer. */
  async goOver(request: Connect): Promise<void> {
    if (this.goingOver) return;
    this.goingOver = true;
    try {
      await this.#opening;
      const status = await this.client.connect(request);
      clearTimeout(this.#retry);
      this.#leave();
      this.status = status;
      this.#generation += 1;
      this.#subscription = undefined;
      this.clock.forget();
      [this.rooms, this.link, this.forgot, this.unsent] = [[], undefined, "", 0];
      await this.connect();
    } finally {
      this.goingOver = false;
    }
  }

  /** Opens another room. Rejects with a `Failure`, and then stays where it is. */
  async openRoom(name: string): Promise<void> {
    const before = this.conversation;
    if (!before || before.room === name) return;
    const status = await this.client.configure({ room: name });
    if (this.conversation !== before) return;
    this.#leave();
    this.status = status;
    const conversation = this.#enter(name);
    conversation.apply([...this.#waiting.values()].map((message) => ({ event: "waiting", message })));
    void this.#subscription?.hide(before.room).catch(() => undefined);
    this.showNewest();
  }

  /** Makes a room and opens it. Rejects with a `Failure`. */
  async makeRoom(name: string): Promise<void> {
    const room = await this.client.putRoom({ name: name.trim() });
    await this.openRoom(room.name);
  }

  /** What was never accepted in the conversation stays with its store and room. */
  #leave(): void {
    if (!this.conversation) return;
    this.conversation.leave();
    this.#left.set(this.#place(this.conversation.room), this.conversation);
    this.conversation = undefined;
  }

  #place(room: string): string {
    return `${this.status?.settings.store ?? ""}\n${room}`;
  }

  /** Does not wait for the next try. */
  tryNow(): void {
    void this.#sample();
  }

  /** The conversation of a room: what waits in it outlives a store that could not be opened. */
  #enter(room: string): Conversation {
    if (this.conversation?.room === room) return this.conversation;
    const left = this.#left.get(this.#place(room));
    if (left) {
      left.leave();
      return (this.conversation = left);
    }
    const conversation = new Conversation(room, this.clock);
    conversation.onArrival = (item) => {
      if (!item.mine) this.announcer.say(`${item.author}: ${item.once ? "to be seen once" : item.text}`, item.id);
    };
    conversation.onDeparture = (item, why) => {
      this.announcer.forget(item.id);
      if (why === "expired") this.announcer.expired();
    };
    conversation.onFailure = (_item, refusal) => this.announcer.say(`not sent, ${aside(refusal)}`);
    this.conversation?.close();
    this.conversation = conversation;
    return conversation;
  }

  /** A damaged store is moved aside, and an empty one opened. */
  async startEmpty(): Promise<void> {
    try {
      await this.client.startEmpty();
      await this.connect();
    } catch (reason) {
      this.trouble = failure(reason);
    }
  }

  #apply(batch: Batch): void {
    for (const event of batch.events) {
      if (event.event === "room") {
        const others = this.rooms.filter((room) => room.name !== event.room.name);
        this.rooms = [...others, event.room].sort((a, b) => a.name.localeCompare(b.name));
      } else if (event.event === "link") {
        this.link = event.link;
        if (event.link.state === "connected" && this.status?.server) void this.#firstSamples().catch(() => undefined);
      } else if (event.event === "forgot") {
        this.forgot = time(Date.now());
        this.announcer.say(`The server forgot everything at ${this.forgot}.`);
      } else if (event.event === "waiting") {
        this.#waiting.set(event.message.id, event.message);
      } else if (event.event === "saved") {
        this.#waiting.delete(event.message.id);
      } else if (event.event === "accepted") {
        this.#waiting.delete(event.stamp.id);
      } else if (event.event === "ended") {
        this.#waiting.delete(event.id);
      } else if (event.event === "unsent") {
        this.#waiting.delete(event.id);
        this.unsent += 1;
        this.announcer.say("1 message waited too long and was not sent.");
      } else if (event.event === "page") {
        this.clock.seed(event.now);
      }
    }
    this.conversation?.apply(batch.events);
    // What waits in a room that was left goes on without it.
    const own = batch.events.filter(({ event }) => event === "waiting" || event === "accepted" || event === "unsent" || event === "ended");
    if (own.length === 0) return;
    for (const [place, left] of this.#left) {
      if (left !== this.conversation && place === this.#place(left.room)) left.apply(own);
    }
  }

  /** Sends a text; it is in the list before the store knows of it. */
  send(text: string, lifetime: number): void {
    const id = crypto.randomUUID().replaceAll("-", "");
    const item = Item.pending(id, text, lifetime, this.clock.now());
    this.conversation?.send(item);
    void this.#save(item);
  }

  /** The same message again, under its own id: a store that has it already answers with its first stamp. */
  retry(item: Item): void {
    if (item.failure?.code === "ended") {
      const { text, lifetime } = item;
      // Should it have arrived after all, it is not there twice.
      void this.delete(item);
      this.send(text, lifetime);
      return;
    }
    item.retry();
    void this.#save(item);
  }

  async #save(item: Item): Promise<void> {
    const conversation = this.conversation;
    if (!conversation) return;
    const request = { id: item.id, room: conversation.room, message: item.text, lifetime: item.lifetime };
    try {
      conversation.answer(item.id, await this.client.saveMessage(request));
      this.announcer.say("sent");
    } catch (reason) {
      const refusal = failure(reason);
      // On a server it waits in the outbox, which tells what comes of it.
      if (this.status?.server && refusal.code === "unreachable") return;
      conversation.answer(item.id, refusal);
    }
  }

  /** Gone now, for everybody; the list follows by the event. Answers with why not. */
  async delete(item: Item): Promise<Failure | undefined> {
    const waits = item.state !== "accepted";
    try {
      // What waits is erased in the outbox.
      await this.client.deleteMessage(item.id);
    } catch (reason) {
      const refusal = failure(reason);
      const unknown = refusal.code === "not_found" || (waits && !this.status?.server);
      if (!unknown) return refusal;
    }
    if (waits) this.conversation?.discard(item);
    return undefined;
  }

  /** Shows a message that is to be seen once, and ends it for everybody. Answers with why not. */
  async reveal(item: Item): Promise<Failure | undefined> {
    const conversation = this.conversation;
    // One's own claim has one nonce, so that a lost answer can be had again.
    item.nonce ??= crypto.randomUUID();
    item.claiming = true;
    try {
      const text = await this.client.claimMessage(item.id, item.nonce);
      conversation?.reveal(item, text, REVEALED);
      return undefined;
    } catch (reason) {
      const refusal = failure(reason);
      if (refusal.code === "taken" || refusal.code === "not_found") conversation?.missed(item, MISSED);
      return refusal;
    } finally {
      item.claiming = false;
    }
  }

  /** Asks for the page before the oldest message that is here; it comes in the stream. */
  showOlder(): void {
    const conversation = this.conversation;
    if (!this.#subscription || !conversation?.more || conversation.waiting) return;
    conversation.waiting = true;
    // With none left here, what is alive begins with the newest page again.
    const oldest = conversation.items.find((item) => Number.isFinite(item.seq))?.seq;
    this.#subscription.show(conversation.room, oldest).catch(() => {
      conversation.waiting = false;
    });
  }

  /** Asks for the newest page again, where it could not be read. */
  showNewest(): void {
    const conversation = this.conversation;
    if (!conversation) return;
    conversation.unreadable = false;
    this.#subscription?.show(conversation.room).catch(() => {
      conversation.unreadable = true;
    });
  }

  /** After a sleep, on focus: what has ended goes before anything is painted. */
  wake(): void {
    this.clock.look();
    if (this.trouble?.code === "in_use") void this.connect();
    else if (this.#subscription) void this.#sample();
  }

  async #firstSamples(): Promise<void> {
    for (let n = 0; n < FIRST_SAMPLES; n++) await this.#sampleOrThrow();
  }

  /** One question at a time: clocks that disagree would ask at every look. */
  async #sample(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      await this.#sampleOrThrow();
    } catch {
      // The link says what is wrong; the clock goes on with what it knows.
    } finally {
      this.#asking = false;
    }
  }

  async #sampleOrThrow(): Promise<void> {
    const asked = performance.now();
    this.clock.sample((await this.client.konnichiwa()).now, asked);
  }
}
