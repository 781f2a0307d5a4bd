// Reads again and again while somebody looks, and knows how old is what is shown.

const EVERY_MS = 3_000;
const SLOWEST_MS = 20_000;

export class Live {
  // `read` gives nothing and throws a Problem; `told(state)` hears of every change: {problem, since, read}.
  constructor(read, told) {
    this.read = read;
    this.told = told;
    this.state = { problem: null, since: null, read: null };
    this.failures = 0;
    this.running = false;
    this.timer = null;
    this.busy = null;
  }

  start() {
    this.running = true;
    this.listening = new AbortController();
    const { signal } = this.listening;
    document.addEventListener('visibilitychange', () => !document.hidden && this.now(), { signal });
    window.addEventListener('online', () => this.now(), { signal });
    return this.now();
  }

  stop() {
    this.running = false;
    this.listening?.abort();
    clearTimeout(this.timer);
  }

  // At once; whoever asks while a reading goes on gets one that begins after it.
  async now() {
    clearTimeout(this.timer);
    if (this.busy !== null) {
      await this.busy;
      if (this.busy !== null) return this.busy;
    }
    this.busy = this.once().finally(() => {
      this.busy = null;
      this.later();
    });
    return this.busy;
  }

  async once() {
    let problem = null;
    try {
      await this.read();
    } catch (error) {
      problem = error;
    }
    if (!this.running) return;
    this.failures = problem === null ? 0 : this.failures + 1;
    this.state =
      problem === null
        ? { problem: null, since: null, read: Date.now() }
        : { problem, since: this.state.since ?? Date.now(), read: this.state.read };
    this.told(this.state);
  }

  later() {
    if (!this.running || document.hidden) return;
    const pause = Math.min(SLOWEST_MS, EVERY_MS * 2 ** Math.min(this.failures, 3));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), pause);
  }
}
