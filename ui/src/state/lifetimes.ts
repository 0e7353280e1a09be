// The lifetimes that are offered for a message, how they are named, and until when they last.

import { DAY, HOUR, MINUTE, SECOND } from "./remaining";

const SHORTEST = SECOND;
const LONGEST = 30 * DAY;
export const PRESETS = [10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 8 * HOUR, DAY, 7 * DAY];
export const UNITS = [
  { name: "seconds", millis: SECOND },
  { name: "minutes", millis: MINUTE },
  { name: "hours", millis: HOUR },
  { name: "days", millis: DAY },
];

/** `10 s`, `10 min`, `8 h`, `1 d`, `1 w`: by the largest unit that it fills evenly. */
export function name(millis: number): string {
  if (millis === 7 * DAY) return "1 w";
  const units: [number, string][] = [[DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [SECOND, "s"]];
  const [unit, letter] = units.find(([unit]) => millis % unit === 0) ?? [SECOND, "s"];
  return `${Math.round(millis / unit)} ${letter}`;
}

/** A number that somebody typed, of this unit, as a lifetime; `undefined` outside of 1 s to 30 d. */
export function parse(number: string, unit: number): number | undefined {
  const millis = Number(number) * unit;
  return number.trim() !== "" && millis >= SHORTEST && millis <= LONGEST ? Math.round(millis) : undefined;
}

const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const clockTimeExact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortDay = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });

/** By its parts: engines differ in where they put a comma. */
function day(format: Intl.DateTimeFormat, at: number): string {
  const parts = Object.fromEntries(format.formatToParts(at).map((part) => [part.type, part.value]));
  return `${parts["weekday"]}, ${parts["day"]} ${parts["month"]}`;
}

/** `10:42`. */
export const time = (at: number): string => clockTime.format(at);

/** `Tuesday, 24 November`. */
export const date = (at: number): string => day(longDay, at);

/** A moment as seen from another: `11:08`, `10:58:12` within a minute, `tomorrow 10:58`, `Tue, 1 Dec`. */
export function moment(at: number, now: number): string {
  if (at - now < MINUTE) return clockTimeExact.format(at);
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / DAY);
  if (days === 0) return clockTime.format(at);
  return days === 1 ? `tomorrow ${clockTime.format(at)}` : day(shortDay, at);
}

/** `until 11:08`, but `tomorrow 10:58` and `Tue, 1 Dec` as they are. */
export function until(at: number, now: number): string {
  const said = moment(at, now);
  return /^\d/.test(said) ? `until ${said}` : said;
}

/** `Gone at 11:44`, `Gone tomorrow 10:58`, `Gone Tue, 1 Dec`. */
export function gone(at: number, now: number): string {
  const said = moment(at, now);
  return /^\d/.test(said) ? `Gone at ${said}` : `Gone ${said}`;
}
