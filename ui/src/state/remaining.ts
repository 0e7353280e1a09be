// What is left of a life, as a ring and in words. Pure arithmetic; when to look again is the clock's business.

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The part of a lifetime in which its ink dries, and the longest that this takes. */
const FADE_PART = 0.1;
const FADE_MOST = 30 * SECOND;
/** The end of it, in which ink goes from the faintest tone to nothing. */
const FADE_OUT = 900;
/** Steps of drying ink: as many as can be told apart, ten a second at most. */
const FADE_STEPS = 40;
const SHORTEST_STEP = 100;

/** `6 d`, `7 h`, `14 m` rounded down; `52 s` rounded up, so that "0 s" is never read. */
export function words(left: number): string {
  if (left >= DAY) return `${Math.floor(left / DAY)} d`;
  if (left >= HOUR) return `${Math.floor(left / HOUR)} h`;
  const seconds = Math.max(1, Math.ceil(left / SECOND));
  return seconds >= 60 ? `${Math.max(1, Math.floor(left / MINUTE))} m` : `${seconds} s`;
}

/** The ring in quarters, 0 to 4: seconds, minutes, hours, days. A unit that runs starts at .18, so that it is never dust. */
export function quarters(left: number): number {
  const part = (unit: number, from: number, over: number): number =>
    unit + 0.18 + 0.82 * Math.min(1, Math.max(0, (left / from - 1) / over));
  if (left >= DAY) return part(3, DAY, 29);
  if (left >= HOUR) return part(2, HOUR, 23);
  if (left >= MINUTE) return part(1, MINUTE, 59);
  return 0.18 + 0.82 * (Math.max(0, left) / MINUTE);
}

/** How a message with this much left of this lifetime looks. */
export interface Look {
  words: string;
  quarters: number;
  /** Under a minute. */
  soon: boolean;
  /** 1 is fresh ink, 0 the faintest that still reads. */
  ink: number;
  /** The last moment, in which ink goes to nothing. */
  going: boolean;
}

const fading = (lifetime: number): number => Math.min(FADE_MOST, lifetime * FADE_PART);

export function look(left: number, lifetime: number): Look {
  const fade = fading(lifetime);
  return {
    words: words(left),
    quarters: quarters(left),
    soon: left < MINUTE,
    ink: left >= fade ? 1 : Math.max(0, left) / fade,
    going: left <= Math.min(FADE_OUT, fade),
  };
}

/** How long this look stays as it is, in ms: until the next word, the next step of drying ink, or the deadline. */
export function untilNextLook(left: number, lifetime: number): number {
  if (left <= 0) return 0;
  const unit = left > DAY ? DAY : left > HOUR ? HOUR : left > MINUTE ? MINUTE : SECOND;
  // Words round down above a minute and change when a unit begins to be broken; below it they round up.
  const wording = unit === SECOND ? left - (Math.ceil(left / SECOND) - 1) * SECOND : (left % unit) + 1;
  const fade = fading(lifetime);
  if (left > fade) return Math.min(wording, left - fade);
  const step = Math.max(SHORTEST_STEP, fade / FADE_STEPS);
  const out = Math.min(FADE_OUT, fade);
  return left > out ? Math.min(wording, step, left - out) : Math.min(wording, left);
}
