// What screen readers are told, through one polite line: at most one sentence a second, so that scrolling, ticking and
// busy rooms never flood. A sentence stands in the page only while it is being said, and never longer than its message.

const PAUSE = 1_000;
/** Expiries within this time are summed up. */
const SUM = 5_000;

interface Sentence {
  words: string;
  /** The message whose words it holds. */
  about?: string | undefined;
}

export class Announcer {
  line = $state("");
  #about: string | undefined;
  #queue: Sentence[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expired = 0;
  #expiredTimer: ReturnType<typeof setTimeout> | undefined;

  /** Says a sentence; where more wait, the first of them stands for all. */
  say(words: string, about?: string): void {
    this.#queue.push({ words, about });
    if (this.#timer === undefined) this.#next();
  }

  /** A message is gone: what was said of it, or waits to be said, goes with it. */
  forget(about: string): void {
    this.#queue = this.#queue.filter((sentence) => sentence.about !== about);
    if (this.#about === about) this.#set(undefined);
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
    const [first, ...rest] = this.#queue;
    this.#queue = [];
    this.#set(first && { ...first, words: rest.length > 0 ? `${first.words} (and ${rest.length} more)` : first.words });
    if (first) this.#timer = setTimeout(this.#next, PAUSE);
  };

  #set(sentence: Sentence | undefined): void {
    this.line = sentence?.words ?? "";
    this.#about = sentence?.about;
  }
}
