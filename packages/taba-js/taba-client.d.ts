/** Values of tags are cleaned: whatever is given becomes text. */
export type Tags = Record<string, unknown>;

export interface Options {
  /** The client's id. Node fills in {host}, {pid} and {thread}; browsers {slot}, one of 16 numbers, and {site}. */
  client?: string;
  /** Where frames go: http://HOST:PORT[/PREFIX], the same with https, or in Node unix:///PATH. */
  server?: string;
  /** The same for an agent, which wins. */
  agent?: string;
  /** A bearer token. What a page knows, everybody knows: give it one that may only write, and only what it must. */
  token?: string;
  /** Tags of every tab. */
  tags?: Tags;
  /** Bounds the frames that wait for an answer, in bytes: 16 MiB, in browsers 1 MiB. */
  pendingBytes?: number;
  /** Bounds what is recorded in a quarter second, in numbers or eight characters of text each: 1,000,000; 100,000. */
  flushLimit?: number;
  /** Bounds the tabs: 100,000; 1,000. */
  tabLimit?: number;
  /** Keep nothing and send nothing. */
  disabled?: boolean;
  /** Where people are told of what goes wrong; console.warn unless given. */
  log?: (text: string) => void;
}

/** One tab. Keep it where you record often: to find it again costs more than to record. */
export interface Handle<Value = number | string> {
  readonly tab: string;
  readonly type: string;
  /** Record one value. Never throws and never waits. */
  record(value: Value): void;
}

export interface Counter extends Handle<number> {
  /** Count: `add()` is one event of the value 1. */
  add(value?: number): void;
}

export interface Gauge extends Handle {
  /** The gauge's value from now on. */
  set(value: number | string): void;
}

export interface Timer {
  /** Begin; what is returned records the milliseconds when it is called first, and returns them. */
  start(): () => number;
  /** Run a function, and record how long it took until it returned or its promise was settled. */
  time<Result>(run: () => Result): Result;
}

/** Records events, and sends them four times a second. One for each program or page. */
export class Client {
  /** Throws a RangeError for an id or an address that cannot be one. */
  constructor(options?: Options);
  /** The client's id, filled in. */
  readonly id: string;
  counter(name: string, tags?: Tags): Counter;
  percentile(name: string, tags?: Tags): Handle<number>;
  /** `expiry` is for how many seconds a value holds. */
  gauge(name: string, tags?: Tags, options?: { expiry?: number }): Gauge;
  uniques(name: string, tags?: Tags): Handle;
  top(name: string, tags?: Tags): Handle;
  buffer(name: string, tags?: Tags): Handle;
  /** Milliseconds, as a percentile. */
  timer(name: string, tags?: Tags): Timer;
  /** A tab of any type that the server knows. */
  tab(type: string, name: string, tags?: Tags): Handle;
  /** Send what was recorded so far, and wait until it is answered, at most so many seconds (2); whether all was. */
  flush(seconds?: number): Promise<boolean>;
  /** Send for the last time, and wait as `flush` does. What is recorded from then on is dropped. */
  close(seconds?: number): Promise<boolean>;
}
