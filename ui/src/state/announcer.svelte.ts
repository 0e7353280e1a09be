// What screen readers are told, through one polite line: at most one sentence a second, so that scrolling, ticking and
// busy rooms never flood.

const PAUSE = 1_000;
/** Expiries within this time are summed up. */
const SUM = 5_000;

export class Announcer {
  line = $state("");
  #queue: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = 0;
  #expiredTimer: ReturnType<typeof setTimeout> | undefined;

  /** Says a sentence; where more wait than are said, only the newest and how many there were. */
  say(sentence: string): void {
    this.#queue.push(sentence);
    if (this.#timer === undefined) this.#next();
  }

  expired(): void {
    this.#expired += 1;
    this.#expiredTimer ??= setTimeout(() => {
      this.say(this.#expired === 1 ? "message expired" : `${this.#expired} messages expired`);
      this.#expired = 0;
      this.#expiredTimer = undefined;
    }, SUM);
  }

  #next = (): void => {
    this.#timer = undefined;
    const first = this.#queue.shift();
    if (first === undefined) return;
    const rest = this.#queue.length;
    this.line = rest > 0 ? `${first} (and ${rest} more)` : first;
    this.#queue = [];
    this.#timer = setTimeout(this.#next, PAUSE);
  };
}
