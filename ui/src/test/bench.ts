// A messenger over a client that the test holds in its hands: nothing answers before the test lets it.

import type { Client, Subscription } from "../api/client";
import type { Batch, Connect, Event, Konnichiwa, Message, PutRoom, Room, SaveMessage, Stamp, Status } from "../api/types/core";
import { Messenger } from "../state/messenger.svelte";

export const START = Date.UTC(2026, 10, 24, 10, 0, 0);

export interface Answer {
  request: SaveMessage;
  accept: (stamp: Partial<Stamp>) => void;
  reject: (reason: unknown) => void;
}

export class Bench implements Client {
  name: string | null = "Mei";
  /** What opening the store answers with, where it fails. */
  trouble: unknown;
  /** What a server answers with, where it says no. */
  refusal: unknown;
  store = "sled:";
  /** How often the store was asked for its now. */
  asked = 0;
  connects: Connect[] = [];
  openedRooms: string[] = [];
  hidden: string[] = [];
  claims: string[] = [];
  room = "lobby";
  saves: Answer[] = [];
  deleted: string[] = [];
  copied: string[] = [];
  opened: string[] = [];
  shown: (number | undefined)[] = [];
  acknowledged = 0;
  readonly messenger: Messenger;
  #apply: (batch: Batch) => void = () => {};
  #number = 0;

  constructor() {
    this.messenger = new Messenger(this);
  }

  status = (): Promise<Status> =>
    Promise.resolve({
      settings: { name: this.name, store: this.store, room: this.room, tls: {} },
      proposed_name: "mei",
      folder: this.store === "sled:" ? "~/store" : "",
      waiting: 0,
      ...(this.store === "sled:" ? {} : { server: { name: "redis.home.lan", private: false } }),
    });
  configure = (change: { name?: string; room?: string }): Promise<Status> => {
    this.room = change.room ?? this.room;
    if (change.name?.trim() === "") return Promise.reject({ code: "invalid", message: "a display name cannot be blank" });
    this.name = change.name ?? this.name;
    return this.status();
  };
  konnichiwa = (): Promise<Konnichiwa> => {
    this.asked += 1;
    return Promise.resolve({ greeting: "Konnichiwa!", kind: "sled", version: "0", round_trip: 0.1, clock_difference: 0, now: Date.now(), findings: [], skipped: 0 });
  };
  testConnection = async (request: Connect): Promise<Konnichiwa> => {
    this.connects.push(request);
    if (this.refusal) return Promise.reject(this.refusal);
    const findings = [
      { grade: "look", title: "It keeps a log on disk", text: "Erased messages stay readable in it.", remedy: "appendonly no" },
      { grade: "good", title: "No copies elsewhere", text: "The server has no replicas." },
    ] as const;
    return { ...(await this.konnichiwa()), kind: "redis", version: "7.0.15", round_trip: 0.4, clock_difference: 12, findings: [...findings] };
  };
  connect = (request: Connect): Promise<Status> => {
    this.connects.push(request);
    if (this.refusal) return Promise.reject(this.refusal);
    this.store = request.store;
    return this.status();
  };
  saveMessage = (request: SaveMessage): Promise<Stamp> =>
    new Promise((resolve, reject) => {
      const accept = (stamp: Partial<Stamp>): void => {
        const accepted = stamp.accepted ?? Date.now();
        resolve({ id: request.id ?? "", seq: accepted * 1024, accepted, deadline: accepted + (request.lifetime ?? 0), now: accepted, ...stamp });
      };
      this.saves.push({ request, accept, reject });
    });
  putRoom = (request: PutRoom): Promise<Room> => {
    if (request.name === "") return Promise.reject({ code: "invalid", message: "a room's name has 1 to 64 characters, and no control characters" });
    this.emit({ event: "room", room: { name: request.name, lifetime: 3_600_000, longest: 2_592_000_000, live: 0 } });
    return Promise.resolve({ name: request.name, lifetime: 3_600_000, longest: 2_592_000_000, live: 0 });
  };
  claimMessage = (id: string, nonce: string): Promise<string> => {
    this.claims.push(`${id} ${nonce}`);
    return this.refusal ? Promise.reject(this.refusal) : Promise.resolve("swordfish");
  };
  deleteMessage = (id: string): Promise<void> => {
    this.deleted.push(id);
    return Promise.resolve();
  };
  copyMessage = (id: string): Promise<void> => {
    this.copied.push(id);
    return Promise.resolve();
  };
  openLink = (url: string): Promise<void> => {
    this.opened.push(url);
    return Promise.resolve();
  };
  startEmpty = (): Promise<void> => {
    this.trouble = undefined;
    return Promise.resolve();
  };
  showFolder = (): Promise<void> => Promise.resolve();
  events = (_rooms: string[], apply: (batch: Batch) => void): Promise<Subscription> => {
    if (this.trouble) return Promise.reject(this.trouble);
    this.#apply = apply;
    return Promise.resolve({
      show: (room: string, before?: number) => {
        this.shown.push(before);
        if (before === undefined) this.openedRooms.push(room);
        return Promise.resolve();
      },
      hide: (room: string) => {
        this.hidden.push(room);
        return Promise.resolve();
      },
    });
  };

  /** Events of the stream, as one batch. */
  emit(...events: Event[]): void {
    this.#number += 1;
    this.#apply({ number: this.#number, events });
  }

  /** Opens the lobby with these messages in it. */
  async open(...messages: Message[]): Promise<Bench> {
    await this.messenger.start();
    this.emit(
      { event: "room", room: { name: "lobby", lifetime: 3_600_000, longest: 2_592_000_000, live: messages.length } },
      { event: "page", room: "lobby", messages, newer: 0, replace: true, more: false, now: Date.now() },
      { event: "link", link: { state: "connected", round_trip: 0.4 } },
    );
    return this;
  }
}

let last = 0;

/** A message of somebody else's, accepted now. */
export function message(text: string, lifetime = 3_600_000, more: Partial<Message> = {}): Message {
  last += 1;
  const accepted = Date.now();
  return {
    id: last.toString(16).padStart(32, "0"),
    room: "lobby",
    author: "Ana",
    mine: false,
    message: text,
    once: false,
    seq: accepted * 1024 + last,
    accepted,
    deadline: accepted + lifetime,
    expires_in: lifetime,
    ...more,
  };
}

/** Lets everything that waits for a promise go on. */
export const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};
