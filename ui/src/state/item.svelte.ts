// One message of a conversation as the window knows it, from the key press to the fold.

import type { Failure, Message, Piece, Stamp } from "../api/types/core";

/** `ended`: its words are gone, its empty place is still there. */
export type State = "pending" | "failed" | "accepted" | "ended";

export class Item {
  readonly id: string;
  readonly author: string;
  readonly mine: boolean;
  /** To be seen once: its text is had by revealing it. */
  once = false;
  /** Names one's own claim. */
  nonce: string | undefined;
  /** It is being claimed: the event of that may be here before its answer. */
  claiming = false;
  /** Its text is here, for a little while, and nowhere else any more. */
  revealed = $state(false);
  state = $state<State>("accepted");
  text = $state("");
  pieces = $state.raw<Piece[] | undefined>();
  /** Order of acceptance; what is not accepted stands behind everything that is. */
  seq = $state(Infinity);
  /** When it was accepted by the store's clock, or written by ours. */
  at = $state(0);
  /** How long it lives from acceptance, in ms. */
  lifetime = $state(0);
  deadline = $state(Infinity);
  /** Whether it has a place in the page, which folds away after its end. */
  drawn = false;
  /** Why it was not sent. */
  failure = $state.raw<Failure | undefined>();

  private constructor(id: string, author: string, mine: boolean) {
    this.id = id;
    this.author = author;
    this.mine = mine;
  }

  static accepted(message: Message): Item {
    const item = new Item(message.id, message.author, message.mine);
    item.once = message.once;
    item.accept(message);
    return item;
  }

  static pending(id: string, text: string, lifetime: number, at: number): Item {
    const item = new Item(id, "", true);
    item.state = "pending";
    item.text = text;
    item.lifetime = lifetime;
    item.at = at;
    return item;
  }

  /** By its event: the text comes with its pieces. */
  accept(message: Message): void {
    if (this.revealed) return;
    this.text = message.message;
    this.pieces = message.pieces;
    this.stamp(message);
  }

  /** By the answer, which knows order and deadline. */
  stamp({ seq, accepted, deadline }: Pick<Stamp, "seq" | "accepted" | "deadline">): void {
    this.state = "accepted";
    this.failure = undefined;
    this.seq = seq;
    this.at = accepted;
    this.move(deadline);
  }

  /** What was claimed is shown for this long, in ms, whatever is told of it. */
  reveal(text: string, now: number, span: number): void {
    this.revealed = true;
    this.text = text;
    this.at = now;
    this.move(now + span);
  }

  move(deadline: number): void {
    this.deadline = deadline;
    this.lifetime = deadline - this.at;
  }

  fail(failure: Failure): void {
    this.state = "failed";
    this.failure = failure;
  }

  retry(): void {
    this.state = "pending";
    this.failure = undefined;
  }

  /** The words go first. */
  end(): void {
    this.state = "ended";
    this.text = "";
    this.pieces = undefined;
  }
}
