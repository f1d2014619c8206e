// The device's clock as something that screens can follow: ages and lateness go on without any event.

class Clock {
  /** Milliseconds since the Unix epoch, new every few seconds. */
  now = $state(Date.now());

  constructor() {
    setInterval(() => (this.now = Date.now()), 5_000);
    // A tab that slept shows the right age at once.
    document.addEventListener('visibilitychange', () => (this.now = Date.now()));
  }
}

export const clock = new Clock();
