// The part of a long room that is drawn: a slice around the eye. What is far above and below is in the state, not in
// the page, so that a hundred thousand messages scroll like a hundred.

/** The most that is drawn. */
const MOST = 240;
/** How much is drawn at first, and how much more at a time. */
const FIRST = 100;
const STEP = 60;

export class Eye {
  /** The slice: from `start`, before `end`. At the end of the room `end` follows what arrives. */
  start = $state(0);
  end = $state(0);
  /** Whether the newest message is in view, so that new ones come into view by themselves. */
  atEnd = $state(true);

  /** The room has this many messages now, of which `added` are new above the slice. */
  fit(length: number, addedAbove: number): void {
    if (this.atEnd) {
      this.end = length;
      this.start = Math.max(0, Math.min(this.start + addedAbove, length - FIRST), length - MOST);
      return;
    }
    this.start = Math.max(0, Math.min(this.start + addedAbove, length));
    this.end = Math.max(this.start, Math.min(this.end + addedAbove, length));
  }

  /** The eye nears the top of the slice; answers whether there was more to draw. */
  up(): boolean {
    if (this.start === 0) return false;
    this.start = Math.max(0, this.start - STEP);
    this.end = Math.min(this.end, this.start + MOST);
    return true;
  }

  /** The eye nears the bottom of the slice; answers whether there was more to draw. */
  down(length: number): boolean {
    if (this.end >= length) return false;
    this.end = Math.min(length, this.end + STEP);
    this.start = Math.max(this.start, this.end - MOST);
    return true;
  }

  toEnd(length: number): void {
    this.atEnd = true;
    this.end = length;
    this.start = Math.max(0, length - FIRST);
  }

  toStart(length: number): void {
    this.start = 0;
    this.end = Math.min(length, FIRST);
    this.atEnd = this.end >= length;
  }
}
