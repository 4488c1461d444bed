// A clock that advances only in a test: wall and monotonic time, together or separately, and due timers.
import type { Clock, Timer } from '../../src/runtime/clock.ts';

interface FakeTimer {
  readonly at: number;
  readonly fn: () => void;
}

export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 1_000;
  readonly #timers = new Set<FakeTimer>();
  /** The first due time of the timers set since the last call. */
  #added = Infinity;

  constructor(start = Date.parse('2026-11-23T12:00:00Z')) {
    this.#wall = start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, fn: () => void): Timer {
    const timer = { at: this.#monotonic + Math.max(0, ms), fn };
    this.#timers.add(timer);
    this.#added = Math.min(this.#added, timer.at);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** The number of waiting timers; a test of stopping expects 0. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Advances both clocks and runs due timers, in order. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let due = this.#dueBy(end); due.length > 0; due = this.#dueBy(end)) {
      this.#added = Infinity;
      for (const timer of due) {
        // A timer set meanwhile comes first.
        if (timer.at > this.#added) break;
        if (!this.#timers.delete(timer)) continue;
        this.#wall += Math.max(0, timer.at - this.#monotonic);
        this.#monotonic = Math.max(this.#monotonic, timer.at);
        timer.fn();
      }
    }
    this.#wall += end - this.#monotonic;
    this.#monotonic = end;
  }

  #dueBy(end: number): FakeTimer[] {
    return [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at);
  }

  /** Moves only the wall clock, like NTP or an operator; no timer runs. */
  setWall(ms: number): void {
    this.#wall = ms;
  }

  /** Advances only the monotonic clock, without timers: a process with late timers. */
  skipMonotonic(ms: number): void {
    this.#monotonic += ms;
  }
}
