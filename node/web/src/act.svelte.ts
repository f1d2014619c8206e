// What one button does: busy while it does it, in words when it could not, and the same tap when it is pressed again after an answer got lost.

import { CreelError, newTap, type Tap } from './creel';

export class Act {
  /** Whether an answer is being waited for. */
  busy = $state(false);
  /** Why it was not done; empty while nothing is wrong. */
  problem = $state('');
  #tap: Tap | null = null;
  #what = '';

  /**
   * Does something once. `what` is all that the act says: while it stays the same, trying again is the same tap; once it is changed, it is another.
   * Answers undefined where it was not done (then `problem` says why) or where an earlier press is still under way.
   */
  async run<T>(what: unknown, how: (tap: Tap) => Promise<T>): Promise<T | undefined> {
    if (this.busy) return undefined;
    const text = JSON.stringify(what);
    if (this.#tap === null || this.#what !== text) [this.#tap, this.#what] = [newTap(), text];
    this.busy = true;
    this.problem = '';
    try {
      const done = await how(this.#tap);
      this.#tap = null;
      return done;
    } catch (error) {
      // Refused in words: nothing of it took effect, and the next press is another tap.
      if (error instanceof CreelError && !error.mayPass) this.#tap = null;
      this.problem = error instanceof Error ? error.message : String(error);
      return undefined;
    } finally {
      this.busy = false;
    }
  }
}
