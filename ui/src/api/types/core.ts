// Generated from crates/core by `make types`; do not edit.

export type MessageId = string;

export type RoomName = string;

export type Lifetime = number;

export type Code = "invalid" | "out_of_range" | "too_large" | "not_found" | "ended" | "taken" | "unreachable" | "refused" | "in_use" | "full" | "corrupt" | "unsupported" | "internal";

export type Failure = { 
/**
 * What programs decide on.
 */
code: Code, 
/**
 * One plain sentence for people; never a message's content, a key or a password.
 */
message: string, };

export type Piece = { "kind": "plain", 
/**
 * It.
 */
text: string, } | { "kind": "code", 
/**
 * It.
 */
text: string, } | { "kind": "block", 
/**
 * It.
 */
text: string, } | { "kind": "link", 
/**
 * As typed.
 */
text: string, 
/**
 * What is opened.
 */
url: string, 
/**
 * The real host, punycode for other scripts; for `mailto` the address.
 */
host: string, } | { "kind": "control", 
/**
 * `U+202E`.
 */
text: string, };

export type Message = { 
/**
 * What finds it.
 */
id: MessageId, 
/**
 * The room's name.
 */
room: RoomName, 
/**
 * The name its author went by.
 */
author: string, 
/**
 * Whether it was written on this device.
 */
mine: boolean, 
/**
 * The text as typed, byte for byte; empty for a message to be seen once.
 */
message: string, 
/**
 * The text cut into what a face paints; absent where all of it is one plain piece.
 */
pieces?: Array<Piece>, 
/**
 * To be seen once: the text is had by `claim_message` alone.
 */
once: boolean, 
/**
 * Order of acceptance: milliseconds * 1024 + n.
 */
seq: number, 
/**
 * When the store accepted it, in ms on the store's clock.
 */
accepted: number, 
/**
 * Gone when the store's clock reaches this, in ms.
 */
deadline: number, 
/**
 * What was left when this was written out, in ms.
 */
expires_in: number, };

export type SaveMessage = { 
/**
 * The caller's own id makes a retry idempotent; absent: a new one.
 */
id?: MessageId, 
/**
 * Into which room.
 */
room: RoomName, 
/**
 * The text, up to 32 KiB.
 */
message: string, 
/**
 * Absent: the room's default.
 */
lifetime?: Lifetime, 
/**
 * To be seen once.
 */
once?: boolean, };

export type Stamp = { 
/**
 * Of which message.
 */
id: MessageId, 
/**
 * Order of acceptance: milliseconds * 1024 + n.
 */
seq: number, 
/**
 * When it was accepted, in ms on the store's clock.
 */
accepted: number, 
/**
 * When it will be gone, in ms on the store's clock.
 */
deadline: number, 
/**
 * The store's clock now, in ms.
 */
now: number, };

export type Room = { 
/**
 * Its name.
 */
name: RoomName, 
/**
 * What a message lives for unless its author chooses otherwise.
 */
lifetime: Lifetime, 
/**
 * The longest that a message may live here.
 */
longest: Lifetime, 
/**
 * How many messages are alive.
 */
live: number, };

export type PutRoom = { 
/**
 * Which room.
 */
name: RoomName, 
/**
 * Its default lifetime; absent: as it is, and 1 h for a new room.
 */
lifetime?: Lifetime, 
/**
 * Its longest lifetime; absent: as it is, and 30 d for a new room.
 */
longest?: Lifetime, };

export type Why = "expired" | "deleted" | "seen";

export type Link = { "state": "connected", 
/**
 * The last round trip, in ms.
 */
round_trip: number, } | { "state": "reconnecting", 
/**
 * Which try this is, from 1.
 */
attempt: number, } | { "state": "offline", 
/**
 * Since when, in ms since 1970.
 */
since: number, } | { "state": "refused", 
/**
 * Why.
 */
message: string, };

export type Waiting = { 
/**
 * It will have this id.
 */
id: MessageId, 
/**
 * The room it is for.
 */
room: RoomName, 
/**
 * The text as typed.
 */
message: string, 
/**
 * What it will live for once it is accepted.
 */
lifetime: Lifetime, 
/**
 * To be seen once.
 */
once: boolean, 
/**
 * Why it is not tried again by itself.
 */
failure?: Failure, };

export type Event = { "event": "saved", 
/**
 * It.
 */
message: Message, } | { "event": "moved", 
/**
 * Of which message.
 */
id: MessageId, 
/**
 * The new deadline, in ms on the store's clock.
 */
deadline: number, } | { "event": "ended", 
/**
 * Which.
 */
id: MessageId, 
/**
 * Why.
 */
why: Why, } | { "event": "page", 
/**
 * Which room.
 */
room: RoomName, 
/**
 * In order of acceptance.
 */
messages: Array<Message>, 
/**
 * How many were skipped because they need a newer version of this program.
 */
newer: number, 
/**
 * Takes the place of every accepted message of the room that is shown.
 */
replace: boolean, 
/**
 * Whether older ones are alive.
 */
more: boolean, 
/**
 * The store's clock when it was read, in ms.
 */
now: number, } | { "event": "room", 
/**
 * It.
 */
room: Room, } | { "event": "reset" } | { "event": "forgot" } | { "event": "waiting", 
/**
 * It.
 */
message: Waiting, } | { "event": "accepted", 
/**
 * The store's answer.
 */
stamp: Stamp, } | { "event": "unsent", 
/**
 * Which.
 */
id: MessageId, } | { "event": "link", 
/**
 * Its state.
 */
link: Link, };

export type Batch = { 
/**
 * Counts from 1 within a subscription; the receiver acknowledges it.
 */
number: number, 
/**
 * In order.
 */
events: Array<Event>, };

export type Grade = "good" | "look" | "unknown";

export type Finding = { 
/**
 * What is made of it.
 */
grade: Grade, 
/**
 * In a few words.
 */
title: string, 
/**
 * What it means for messages.
 */
text: string, 
/**
 * What to write into the server's configuration, or to do.
 */
remedy?: string, };

export type Konnichiwa = { 
/**
 * "Konnichiwa!"
 */
greeting: string, 
/**
 * `memory`, `sled` or `redis`.
 */
kind: string, 
/**
 * The engine's version.
 */
version: string, 
/**
 * A real round trip through the store, in ms.
 */
round_trip: number, 
/**
 * The store's clock less this computer's, in ms.
 */
clock_difference: number, 
/**
 * The store's clock, in ms.
 */
now: number, 
/**
 * What an audit of the server found.
 */
findings: Array<Finding>, 
/**
 * How often a value that is none of ours was met and skipped.
 */
skipped: number, };

export type Tls = { 
/**
 * PEM certificates that alone are trusted.
 */
authority?: string, 
/**
 * The client's own PEM certificate.
 */
certificate?: string, 
/**
 * Its key.
 */
key?: string, };

export type Connect = { 
/**
 * Its address.
 */
store: string, 
/**
 * A new password; absent: the one that is kept for this address.
 */
password?: string, 
/**
 * How it is trusted.
 */
tls?: Tls, };

export type Settings = { 
/**
 * The display name; absent until the first start is over.
 */
name: string | null, 
/**
 * The store's address.
 */
store: string, 
/**
 * The room that is open.
 */
room: RoomName, 
/**
 * How a server is trusted over TLS.
 */
tls: Tls, };

export type Configure = { 
/**
 * The display name.
 */
name?: string, 
/**
 * The room that is open.
 */
room?: RoomName, };

export type Server = { 
/**
 * Its host's name.
 */
name: string, 
/**
 * Whether nobody on the way can read what is sent.
 */
private: boolean, };

export type Status = { 
/**
 * As they are now.
 */
settings: Settings, 
/**
 * The system's user name, proposed at the first start.
 */
proposed_name: string, 
/**
 * The embedded store's folder as people read it; empty where the store is not on this computer.
 */
folder: string, 
/**
 * The server; absent where the store is on this computer.
 */
server?: Server, 
/**
 * How many messages wait to be sent.
 */
waiting: number, };
