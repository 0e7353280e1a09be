// The store's clock as this page knows it, and the one timer behind every ring and every expiry.
//
// Two clocks of the page carry an offset each, because each fails in its own way: `Date.now()` steps when the computer's
// clock is set, `performance.now()` may stand still while it sleeps. Where they differ by more than a second, what either
// calls ended is hidden, and the store is asked.

/** Where the two differ by more than this, one of them is wrong; in ms. */
const DISAGREEMENT = 1_000;
/** A sample counts less the older it is; the best of this many decides. */
const SAMPLES = 8;
/** Looks that need not be exact fall on tenths of a second, so that there are at most ten. */
const GRID = 100;
/** The longest timers, as a sleep of the computer is noticed by looking: with something due within a minute, and else. */
const SOON = 60_000;
const SHORT_SLEEP = 1_000;
const LONGEST_SLEEP = 30_000;

interface Sample {
  roundTrip: number;
  date: number;
  steady: number;
}

/** Looks at the time; answers with how long nothing changes for it, in ms. */
export type Watcher = (now: number) => number;

export class Clock {
  #samples: Sample[] = [];
  #watchers = new Map<Watcher, { at: number; exact: boolean }>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakesAt = Infinity;
  #ask: () => void;

  /** `ask` is called when the two clocks disagree: somebody should ask the store and call `sample`. */
  constructor(ask: () => void = () => {}) {
    this.#ask = ask;
  }

  /** The store said `now`, between these two moments of `performance.now()`. */
  sample(now: number, asked: number, answered = performance.now()): void {
    const roundTrip = answered - asked;
    const then = now + roundTrip / 2;
    const sample = { roundTrip, date: then - Date.now(), steady: then - performance.now() };
    // What is told apart from what is known by more than an error of measurement is another time: the clock was stepped.
    const stepped = Math.abs(then - this.now()) > DISAGREEMENT + roundTrip;
    if (stepped || this.disagrees()) this.#samples = [];
    this.#samples = [...this.#samples, sample].slice(-SAMPLES);
    this.look();
  }

  /** A page carried the store's now: better than nothing until somebody has asked. */
  seed(now: number): void {
    if (this.#samples.length === 0) this.sample(now, performance.now() - DISAGREEMENT / 2);
  }

  /** Another store has another clock. */
  forget(): void {
    this.#samples = [];
  }

  /** The store's now: the later of what the two say, so that what either calls ended is hidden. */
  now(): number {
    const [byDate, bySteady] = this.#estimates();
    return Math.max(byDate, bySteady);
  }

  disagrees(): boolean {
    const [byDate, bySteady] = this.#estimates();
    return Math.abs(byDate - bySteady) > DISAGREEMENT;
  }

  #estimates(): [number, number] {
    const best = this.#samples.reduce<Sample | undefined>(
      (best, sample) => (best && best.roundTrip <= sample.roundTrip ? best : sample),
      undefined,
    );
    if (!best) return [Date.now(), Date.now()];
    return [Date.now() + best.date, performance.now() + best.steady];
  }

  /** Calls the watcher now, and again whenever something changes for it. Answers with what ends that.
   *  Deadlines are `exact`, to the millisecond; everything else may wait for the next tenth of a second. */
  watch(watcher: Watcher, exact = false): () => void {
    this.#call(watcher, this.now(), exact);
    this.#sleep();
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Looks at the time for everybody: after a sleep, a change of focus, a new sample. */
  look(): void {
    // The clock may have moved: what the timer was set for is no measure any more.
    this.#wakesAt = Infinity;
    const now = this.now();
    for (const [watcher, { exact }] of [...this.#watchers]) this.#call(watcher, now, exact);
    this.#sleep();
  }

  #call(watcher: Watcher, now: number, exact: boolean): void {
    const at = now + Math.max(0, watcher(now));
    this.#watchers.set(watcher, { at: exact ? at : Math.ceil(at / GRID) * GRID, exact });
  }

  #due = (): void => {
    this.#timer = undefined;
    this.#wakesAt = Infinity;
    if (this.disagrees()) {
      this.#ask();
      this.look();
      return;
    }
    const now = this.now();
    for (const [watcher, { at, exact }] of [...this.#watchers]) if (at <= now) this.#call(watcher, now, exact);
    this.#sleep();
  };

  #sleep(): void {
    if (this.#watchers.size === 0) return;
    const now = this.now();
    let next = Infinity;
    let deadline = Infinity;
    for (const { at, exact } of this.#watchers.values()) {
      next = Math.min(next, at);
      if (exact) deadline = Math.min(deadline, at);
    }
    // A timer may stand still while the computer sleeps: it is short where something ends soon.
    next = Math.min(next, now + (deadline - now < SOON ? SHORT_SLEEP : LONGEST_SLEEP));
    const at = Math.max(now, next);
    if (at >= this.#wakesAt && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#wakesAt = at;
    this.#timer = setTimeout(this.#due, Math.ceil(at - now));
  }
}

